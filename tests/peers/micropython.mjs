// micropython.mjs [--heap BYTES] - a MicroPython device on standard input and output, for the tests and the demonstration.
//
// It runs the WebAssembly port (npm package @micropython/micropython-webassembly-pyscript, fetched by tests/peers.sh) and
// is meant to be the process behind a pty: `exec:node tests/peers/micropython.mjs`, or a pty that socat makes. The REPL,
// the raw REPL, the compiler and the runtime are MicroPython's own. Three things are served here, because the port cannot:
//   raw-paste    the port's console never blocks and would read NULs; this file keeps the protocol (window, flow bytes,
//                end) and hands the text to the port's raw REPL
//   soft reset   the port asks to be left; a new instance is loaded, with an empty file system
//   sys.stdin    read from the same standard input, byte by byte
// Ctrl-C does not reach running code, and bytes 0x01, 0x02 and 0x05 inside raw-paste text act as in the raw REPL.
//
// Everything is synchronous: process.stdin must not be touched, it would make the terminal non-blocking.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const PORT = fileURLToPath(
	new URL(
		"../../build/peers/npm/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs",
		import.meta.url,
	),
);
const CTRL_A = 1, CTRL_B = 2, CTRL_C = 3, CTRL_D = 4, CTRL_E = 5, LF = 10;
const RAW_PROMPT = "raw REPL; CTRL-B to exit\r\n>";
const WINDOW = 128;

class Console {
	constructor() {
		this.input = Buffer.alloc(65536);
		this.at = this.end = 0;
		this.output = Buffer.alloc(65536);
		this.pending = 0;
	}

	put(byte) {
		this.output[this.pending++] = byte;
		if (byte === LF || this.pending === this.output.length)
			this.flush();
	}

	puts(text) {
		for (const byte of Buffer.from(text, "latin1"))
			this.put(byte);
	}

	flush() {
		for (let from = 0; from < this.pending; )
			from += retry(() => fs.writeSync(1, this.output, from, this.pending - from));
		this.pending = 0;
	}

	// The next byte; null at the end of the input.
	get() {
		if (this.at === this.end) {
			this.flush();
			this.at = 0;
			this.end = retry(() => fs.readSync(0, this.input, 0, this.input.length, null));
			if (this.end === 0)
				return null;
		}
		return this.input[this.at++];
	}
}

// Whoever made the terminal may have left it non-blocking: then wait a millisecond. A terminal whose other side is gone
// (EIO), or a closed pipe, is the end.
function retry(call) {
	for (;;) {
		try {
			return call();
		} catch (error) {
			if (error.code === "EIO" || error.code === "EPIPE" || error.code === "EOF")
				process.exit(0);
			if (error.code !== "EAGAIN")
				throw error;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
		}
	}
}

class Device {
	constructor(load, console, heap) {
		this.load = load;
		this.console = console;
		this.heap = heap;
		this.mute = false;
		this.recent = "";
		this.drop = 0;
	}

	// A new instance, its banner shown or not. The REPL starts in friendly mode.
	async boot(showBanner) {
		let given = false;

		this.mute = !showBanner;
		this.raw = false;
		this.line = 0;
		this.port = await this.load({
			heapsize: this.heap,
			linebuffer: false,
			stdout: (bytes) => this.out(bytes),
			stderr: (bytes) => this.out(bytes),
			// A null after each byte, else the port asks until its buffer is full.
			stdin: () => {
				given = !given;
				return given ? this.console.get() : null;
			},
		});
		this.port.replInit();
		this.mute = false;
	}

	// Output comes byte by byte. `drop` bytes are swallowed; `recent` sees whether the raw prompt was among the rest;
	// the OK of the raw REPL goes out before the code runs.
	out(bytes) {
		for (const byte of bytes) {
			if (this.mute)
				continue;
			if (this.drop > 0) {
				this.drop--;
				continue;
			}
			this.console.put(byte);
			if (this.watch)
				this.recent += String.fromCharCode(byte);
			if (this.ok > 0 && --this.ok === 0)
				this.console.flush();
		}
	}

	async reset() {
		const raw = this.raw;

		this.console.puts("MPY: soft reboot\r\n");
		await this.boot(!raw);
		if (raw)
			this.enter();
	}

	// Ctrl-A: the port decides whether it is a command (it is editing where the line is not empty).
	enter() {
		this.watch = true;
		this.recent = "";
		this.port.replProcessChar(CTRL_A);
		this.watch = false;
		if (this.recent.endsWith(RAW_PROMPT))
			this.raw = true;
		this.line = 0;
	}

	// Runs what the raw REPL has collected.
	async run(dropOk) {
		this.line = 0;
		if (dropOk)
			this.drop = 2;
		else
			this.ok = 2;
		const leave = this.port.replProcessChar(CTRL_D);
		this.drop = this.ok = 0;
		if (leave)
			await this.reset();
	}

	async paste() {
		const text = [];
		const answer = [this.console.get(), this.console.get()];

		if (answer[0] !== "A".charCodeAt(0) || answer[1] !== CTRL_A) {
			this.console.puts("R\x00>");
			return;
		}
		// The size of a window, and at once a second one.
		this.console.puts(`R\x01${String.fromCharCode(WINDOW & 255, WINDOW >> 8)}\x01`);
		for (let n = 1; ; n++) {
			const byte = this.console.get();

			if (byte === null)
				process.exit(0);
			if (byte === CTRL_C) {
				this.console.puts("\x04\x04KeyboardInterrupt: \r\n\x04>");
				return;
			}
			if (byte === CTRL_D)
				break;
			text.push(byte);
			if (n % WINDOW === 0) {
				this.console.puts("\x01");
				this.console.flush();
			}
		}
		this.console.puts("\x04");
		this.console.flush();
		// No text at all would be a soft reset.
		for (const byte of text.length ? text : Buffer.from("pass"))
			this.port.replProcessChar(byte);
		await this.run(true);
	}

	async rawByte(byte) {
		if (byte === CTRL_D) {
			await this.run(false);
		} else if (byte === CTRL_E && this.line === 0) {
			await this.paste();
		} else {
			this.port.replProcessChar(byte);
			if (byte === CTRL_B)
				this.raw = false;
			this.line = byte === CTRL_A || byte === CTRL_B || byte === CTRL_C ? 0 : this.line + 1;
		}
	}

	async loop() {
		for (;;) {
			const byte = this.console.get();

			if (byte === null)
				return;
			if (this.raw)
				await this.rawByte(byte);
			else if (byte === CTRL_A)
				this.enter();
			else if (this.port.replProcessChar(byte))
				await this.reset();
		}
	}
}

function heapOf(args) {
	if (args.length === 0)
		return 2 * 1024 * 1024;
	const heap = Number(args[1]);
	if (args.length !== 2 || args[0] !== "--heap" || !Number.isInteger(heap) || heap < 65536) {
		process.stderr.write("usage: micropython.mjs [--heap BYTES]\n");
		process.exit(2);
	}
	return heap;
}

const heap = heapOf(process.argv.slice(2));
if (!fs.existsSync(PORT)) {
	fs.writeSync(2, `micropython.mjs: ${PORT} is not there; run tests/peers.sh micropython\n`);
	process.exit(3);
}
// Raw: every byte as it is, both ways. Fails harmlessly on a pipe.
spawnSync("stty", ["raw", "-echo"], { stdio: ["inherit", "ignore", "ignore"] });
const { loadMicroPython } = await import(pathToFileURL(PORT).href);
const device = new Device(loadMicroPython, new Console(), heap);
await device.boot(true);
await device.loop();
