"""A headless Chromium, driven through the pipe of the DevTools protocol: pages are shown, measured and photographed."""
import base64
import fcntl
import itertools
import json
import os
import select
import subprocess
import tempfile
import time

# The page of a report needs nothing from outside, so the browser gets no chance to ask for anything either.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--disable-default-apps", "--hide-scrollbars", "--mute-audio", "--remote-debugging-pipe"]

# What is wrong with the layout of the page as it is now, one sentence each. Text is measured by the boxes of its glyph
# runs; boxes that share less than half a pixel do not overlap.
FAULTS = r"""
(() => {
	const faults = [], slack = 0.5, wide = document.documentElement.clientWidth;
	const say = (what, el) => faults.push(what + ": " + (el.textContent || el.outerHTML).trim().slice(0, 80));
	const boxes = el => { const r = document.createRange(); r.selectNodeContents(el); return [...r.getClientRects()]; };
	const meet = (a, b) => a.left < b.right - slack && b.left < a.right - slack &&
		a.top < b.bottom - slack && b.top < a.bottom - slack;
	if (document.documentElement.scrollWidth > wide)
		faults.push("the page is wider than its window: " + document.documentElement.scrollWidth + " > " + wide);
	for (const svg of document.querySelectorAll("svg")) {
		const frame = svg.getBoundingClientRect();
		if (!frame.width || !frame.height) { if (svg.checkVisibility()) say("an empty picture", svg); continue; }
		const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent).map(t => [t, t.getBoundingClientRect()]);
		for (const [t, r] of texts)
			if (r.left < frame.left - slack || r.right > frame.right + slack || r.top < frame.top - slack ||
			    r.bottom > frame.bottom + slack)
				say("text leaves its picture", t);
		for (let i = 0; i < texts.length; i++)
			for (let k = i + 1; k < texts.length; k++)
				if (meet(texts[i][1], texts[k][1]))
					say("text on text (" + texts[k][0].textContent + ")", texts[i][0]);
		for (const p of svg.querySelectorAll("path,rect")) {
			const r = p.getBoundingClientRect();
			if (r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1)
				say("a shape leaves its picture (" + p.getAttribute("class") + ")", svg);
			if (/NaN|inf/i.test(p.getAttribute("d") || ""))
				say("a path without numbers", svg);
		}
	}
	const blocks = [...document.querySelectorAll("h1,h2,h3,h4,p,li,caption,th,td,dt,dd,figure>svg")]
		.filter(e => e.checkVisibility());
	for (const el of blocks)
		for (const r of el.tagName === "svg" ? [el.getBoundingClientRect()] : boxes(el)) {
			if (r.left < -slack || r.right > wide + slack)
				say("cut at the edge of the window", el);
			const own = el.getBoundingClientRect();
			if (r.left < own.left - 1 || r.right > own.right + 1)
				say("text leaves its block", el);
		}
	/* Blocks that hold no other block, in the order of their top edge. */
	const leaves = blocks.filter(e => !blocks.some(o => o !== e && e.contains(o)))
		.map(e => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width && r.height)
		.sort((a, b) => a[1].top - b[1].top);
	for (let i = 0; i < leaves.length; i++)
		for (let k = i + 1; k < leaves.length && leaves[k][1].top < leaves[i][1].bottom - slack; k++)
			if (meet(leaves[i][1], leaves[k][1]))
				say("blocks overlap (" + leaves[k][0].textContent.trim().slice(0, 40) + ")", leaves[i][0]);
	return faults;
})()
"""


class Browser:
    """browser.open(path), .window(width, media=..., scheme=...), .value(javascript), .picture(path); .complaints, .requests."""

    def __init__(self, program, seconds=120):
        self.seconds = seconds
        self.profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self.ids = itertools.count(1)
        self.complaints, self.requests, self.rest, self.events = [], [], b"", []
        to_browser, self.to = os.pipe()
        self.source, from_browser = os.pipe()
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (to_browser, from_browser)]

        def take_ends():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)
        self.log = open(os.path.join(self.profile.name, "log"), "wb")
        self.process = subprocess.Popen([program, *FLAGS, f"--user-data-dir={self.profile.name}", "about:blank"],
                                        preexec_fn=take_ends, pass_fds=(3, 4), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log, start_new_session=True)
        for fd in (*ends, to_browser, from_browser):
            os.close(fd)
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def receive(self, deadline):
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.source], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self.source, 1 << 20) if ready else b""
            if not data:
                with open(self.log.name, errors="replace") as f:
                    why = "ended" if ready else f"said nothing for {self.seconds} s"
                    raise RuntimeError(f"the browser {why}: {f.read()[-2000:]}")
            self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(params)[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        self.events.append(method)

    def call(self, method, **params):
        number = next(self.ids)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.seconds
        while True:
            answer = self.receive(deadline)
            if answer.get("id") != number:
                self.note(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def open(self, path):
        self.complaints, self.requests, self.events = [], [], []
        told = self.call("Page.navigate", url=f"file://{path}")
        assert "errorText" not in told, told
        deadline = time.monotonic() + self.seconds
        while "Page.loadEventFired" not in self.events:
            self.note(self.receive(deadline))

    def window(self, width, height=900, media="screen", scheme="light"):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media,
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def value(self, expression):
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def faults(self):
        return self.value(FAULTS)

    def picture(self, path, clip=None, scale=1):
        """A PNG of the whole page, or of clip = (x, y, width, height)."""
        extra = {}
        if clip:
            x, y, width, height = clip
            extra["clip"] = {"x": x, "y": y, "width": width, "height": height, "scale": scale}
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **extra)
        with open(path, "wb") as f:
            f.write(base64.b64decode(told["data"]))

    def pdf(self, path):
        told = self.call("Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69)
        with open(path, "wb") as f:
            f.write(base64.b64decode(told["data"]))

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (RuntimeError, OSError):
            self.process.kill()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for fd in (self.to, self.source):
            os.close(fd)
        self.log.close()
        self.profile.cleanup()
