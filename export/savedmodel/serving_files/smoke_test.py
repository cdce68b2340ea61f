#!/usr/bin/env python3
"""Does this export work in TensorFlow Serving? Needs Docker with Compose, and Python 3.8 or newer.

python3 smoke_test.py             starts the server, asks it, stops it
python3 smoke_test.py --keep      leaves it running
python3 smoke_test.py --url=URL   asks one that runs: http://HOST:8501/v1/models/@MODEL@
"""

import argparse
import base64
import json
import os
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["@MODELS@"]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Failure(Exception):
    """The test failed; the text says how."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Another address than the one given is not asked."""

    def redirect_request(self, request, reply, code, reason, headers, place):
        raise Failure(f"{request.full_url} redirects to {place!r}, which is not followed")


def ask(url, body=None, timeout=60, limit=1 << 24):
    """GET, or POST of JSON; returns the JSON of the answer, all of it within `timeout` seconds."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    outcome = []

    def run():
        try:
            with urllib.request.build_opener(NoRedirects).open(request, timeout=timeout) as reply:
                content = reply.read(limit + 1)
            if len(content) > limit:
                raise Failure(f"{url}: the answer is longer than {limit:,} bytes")
            outcome.append(json.loads(content))
        except urllib.error.HTTPError as error:
            text = error.read(500).decode(errors="replace")
            outcome.append(Failure(f"{url}: HTTP {error.code}: {text}"))
        except RecursionError:
            outcome.append(Failure(f"{url}: the answer is JSON nested too deep"))
        except Exception as error:
            outcome.append(error)

    # The time-out of a connection begins anew with every byte; this one does not.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome:
        raise Failure(f"{url}: the answer was not complete after {timeout} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def wait_until_ready(url, seconds):
    """Waits until a version of the model is available."""
    end, reason = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            states = [v["state"] for v in ask(url, timeout=5)["model_version_status"]]
            if "AVAILABLE" in states:
                return
            reason = f"versions are {', '.join(states)}"
        except (Failure, OSError, ValueError, KeyError) as error:
            reason = str(error)
        time.sleep(0.5)
    raise Failure(f"{url} was not ready after {seconds} s: {reason}")


def chunk(name, content):
    """A part of a PNG file."""
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png(width, height, channels, bits):
    """A picture of smooth colours as a PNG file."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    top = 2**bits - 1
    rows = b""
    for y in range(height):
        rows += b"\0"
        for x in range(width):
            shades = (x / width, y / height, (x + y) / (width + height), 1)
            for shade in shades[:channels]:
                rows += int(shade * top).to_bytes(bits // 8, "big")

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return (
        SIGNATURE
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def predict(url, signature, limit=1 << 24, **inputs):
    body = {"signature_name": signature, "inputs": inputs}
    return ask(url + ":predict", body, limit=limit)["outputs"]


def check(url):
    """Asks for the contract, then for a picture."""
    contract = json.loads(predict(url, "contract", query=[""])[0])
    if contract.get("kind") != "tfpix2pix export":
        raise Failure(f"{url} does not serve an export of tfpix2pix")
    step = contract["checkpoint"]["step"]
    print(f"contract: inference {contract['inference']}, step {step:,}")
    names = ask(url + "/metadata")["metadata"]["signature_def"]["signature_def"]
    size = contract["image_size"]
    if size == "any":
        size = str(contract["config"]["crop_size"]).split("x")  # 256, or 256x512: height x width
    height, width = int(size[0]), int(size[-1])
    files, noise, latent = contract["x"]["files"], contract["noise"], contract.get("latent")
    colours = contract["color_space"] == "lab" or contract["label_side"] == "input"
    channels = 3 if colours else len(contract["x"]["channels"])
    if "encoded" not in names:
        x = len(contract["x"]["channels"])
        inputs = {"x": [[[[0.0] * x] * width] * height]}
        if "z" in noise:
            factor, z = noise["pixels_per_cell"], noise["channels"]
            inputs["z"] = [[[[-1.0] * z] * (width // factor)] * (height // factor)]
        if latent:
            inputs["latent"] = [[0.0] * latent["size"]]
        # Not even a number of 17 digits, spread over lines, takes 64 bytes.
        limit = 64 * width * height * len(contract["y"]["channels"]) + (1 << 16)
        y = predict(url, "float", limit, **inputs)[0]
        if (len(y), len(y[0])) != (height, width):
            raise Failure(f"float: {len(y)} rows of {len(y[0])}, expected {height} of {width}")
        print(f"float: y of {height} x {width} pixels")
        return
    bits = 16 if files["dtype"] == "uint16" and not colours else 8
    if contract["image_size"] == "any":
        width -= 5  # padded in the graph
    image = {"b64": base64.b64encode(png(width, height, channels, bits)).decode()}

    def translated(signature, **more):
        start = time.monotonic()
        # Four channels of 16 bits, in base64, and as much again.
        limit = 24 * width * height + (1 << 20)
        answer = predict(url, signature, limit, image_bytes=[image], **more)[0]
        took = time.monotonic() - start
        data = base64.b64decode(answer["b64"], validate=True)
        if data[:8] != SIGNATURE:
            raise Failure(f"{signature}: no PNG came back")
        found = struct.unpack(">II", data[16:24])
        if found != (width, height):
            raise Failure(f"{signature}: a PNG of {found}, expected {(width, height)}")
        print(f"{signature}: a PNG of {width} x {height} pixels in {took:.2f} s")
        return data

    first = translated("encoded")
    if translated("encoded") != first:
        print("note: the same request gave another file; accelerators may round so")
    if "encoded_seeded" in names and translated("encoded_seeded", seed=[1]) == first:
        if "z" in noise:
            raise Failure("encoded_seeded: another seed gave the same picture")
        print("note: another seed gave the same picture; its run has learned to ignore the latent")
    if latent:
        seed = {"seed": [0]} if "z" in noise else {}
        translated("encoded_latent", latent=[[0.0] * latent["size"]], **seed)
    try:
        predict(url, "encoded", image_bytes=[{"b64": base64.b64encode(b"no image").decode()}])
    except Failure as error:
        if "image_bytes" not in str(error):
            raise
        print("encoded: what is no image is refused in words")
    else:
        raise Failure("encoded: what is no image was taken for one")
    # A file of a few kilobytes that claims gigabytes.
    bomb = chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0))
    bomb += chunk(b"IDAT", zlib.compress(bytes(2501 * 20000), 9)) + chunk(b"IEND", b"")
    bomb = base64.b64encode(SIGNATURE + bomb).decode()
    try:
        predict(url, "encoded", image_bytes=[{"b64": bomb}])
    except Failure as error:
        if "this export takes images of" not in str(error):
            raise
        print("encoded: a small file of a huge picture is refused in words")
    else:
        raise Failure("encoded: a picture of 20000 x 20000 pixels was taken")


def main():
    parser = argparse.ArgumentParser(description="Tries this export in TensorFlow Serving.")
    parser.add_argument("--url", help="of a server that runs already")
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    parser.add_argument("--wait", type=int, default=180, help="seconds until it must be ready")
    flags = parser.parse_args()
    base = f"http://localhost:{os.environ.get('REST_PORT', '8501')}/v1/models"
    urls = [flags.url] if flags.url else [f"{base}/{model}" for model in MODELS]
    compose = ["docker", "compose", "--file", os.path.join(HERE, "compose.yaml")]
    started = False
    try:
        if not flags.url:
            version = subprocess.run(["docker", "compose", "version"], capture_output=True)
            if version.returncode:
                raise Failure("Docker is here without Compose (`docker compose version` fails)")
            started = True
            subprocess.run([*compose, "up", "--detach"], check=True)
        for url in urls:
            wait_until_ready(url.rstrip("/"), flags.wait)
            check(url.rstrip("/"))
    except FileNotFoundError:
        print("FAILED: there is no `docker` on this machine", file=sys.stderr)
        return 1
    except (Failure, OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        if started:
            subprocess.run([*compose, "logs", "--tail=40"])
        return 1
    finally:
        if started and not flags.keep:
            subprocess.run([*compose, "down"])
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
