"""The paper's ablation tables, run again: `tfpix2pix reproduce`."""
