"""``python -m tfpix2pix``: the same as the command ``tfpix2pix``."""

from tfpix2pix.cli.main import run

if __name__ == "__main__":
    run()
