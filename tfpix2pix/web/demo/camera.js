// The camera: a dialog with what it sees, and a button that takes it.
// @ts-check
import { dialogOf, onClick } from "./dom.js";
import { openCamera } from "./media.js";
import { trying } from "./messages.js";

/** The dialog of the camera. */
export class Camera {
  /** @param {(picture: ImageBitmap) => unknown} taken */
  constructor(taken) {
    this.video = /** @type {HTMLVideoElement} */ (document.getElementById("video"));
    /** @type {MediaStream|null} */
    this.stream = null;
    this.front = false;
    const dialog = dialogOf("camera-box");
    onClick("camera", () => trying(() => this.open()));
    onClick("close-camera", () => dialog.close());
    onClick("turn-camera", () =>
      trying(() => {
        this.front = !this.front;
        return this.open().catch((error) => {
          dialog.close();
          throw error;
        });
      }),
    );
    onClick("shoot", () =>
      trying(async () => {
        const picture = await createImageBitmap(this.video);
        dialog.close();
        await taken(picture);
      }),
    );
    // However it is closed, the camera's light goes out.
    dialog.addEventListener("close", () => this.stop());
  }

  async open() {
    this.stop();
    this.stream = await openCamera(this.front);
    this.video.srcObject = this.stream;
    const dialog = dialogOf("camera-box");
    if (!dialog.open) dialog.showModal();
    await this.video.play();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }
}
