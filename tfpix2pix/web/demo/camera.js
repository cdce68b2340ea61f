// The camera: a dialog with what it sees, of which a picture is taken, or all that come.
// @ts-check
import { byId, dialogOf, onClick } from "./dom.js";
import { openCamera } from "./media.js";
import { trying } from "./messages.js";

/** The dialog of the camera; and its pictures one after the other, until they are stopped. */
export class Camera {
  /** @param {{taken: (picture: ImageBitmap) => unknown, frame: (picture: ImageBitmap) => Promise<unknown>,
   *   ended: () => void}} host A picture, one of many that pass, and that there are no more of those. */
  constructor(host) {
    this.host = host;
    this.video = /** @type {HTMLVideoElement} */ (document.getElementById("video"));
    /** @type {MediaStream|null} */
    this.stream = null;
    this.front = false;
    this.live = false;
    this.starting = false;
    const dialog = dialogOf("camera-box");
    onClick("camera", () => (this.live ? this.stop() : trying(() => this.open())));
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
        await host.taken(picture);
      }),
    );
    onClick("live", () =>
      trying(() => {
        this.live = true;
        dialog.close();
        return this.pass();
      }),
    );
    // However it is closed, the camera's light goes out.
    dialog.addEventListener("close", () => this.live || this.stop());
  }

  async open() {
    this.stop();
    this.stream = await openCamera(this.front);
    this.video.srcObject = this.stream;
    const dialog = dialogOf("camera-box");
    if (!dialog.open) dialog.showModal();
    await this.video.play();
  }

  /** Takes one picture after the other, each when the one before is done with. */
  async pass() {
    byId("camera").setAttribute("aria-pressed", "true");
    try {
      this.starting = true;
      await this.host.taken(await createImageBitmap(this.video));
      this.starting = false;
      while (this.live) {
        // Where the window is hidden the video rests.
        await new Promise((done) => requestAnimationFrame(done));
        await this.video.play();
        const picture = await createImageBitmap(this.video);
        if (this.live) await this.host.frame(picture);
        picture.close();
      }
    } finally {
      this.stop();
    }
  }

  /** Something else is to be shown than what passes. */
  interrupt() {
    if (this.live && !this.starting) this.stop();
  }

  /** The camera's light goes out. */
  stop() {
    const wasLive = this.live;
    this.live = this.starting = false;
    byId("camera").removeAttribute("aria-pressed");
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    if (wasLive) this.host.ended();
  }
}
