"""What people see: pictures that were made against real ones, judged in one second each.

The protocol of pix2pix's section 4.1 (arXiv 1611.07004) and, before it, of Colorful Image
Colorization (arXiv 1603.08511): `making` writes a study's page, `server` runs it, `scoring` says
how many were fooled.
"""
