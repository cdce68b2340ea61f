"""The page to draw on: a trained network in the visitor's browser, as files or from this machine.

`page` says which files it consists of, of `models.PageModel`s; `server` hands them out; `kinds`
finds out what one draws for a network; `runtime` knows where onnxruntime-web is.
"""
