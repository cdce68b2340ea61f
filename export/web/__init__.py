"""An export in the browser: the page to draw on, made of ONNX files (see `tfpix2pix.demo`)."""
