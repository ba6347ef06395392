// A real Redis of the test's own, on a free port and without a file.
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

import { eventually, freePorts } from "./node.mjs";

export class Redis {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "skep-redis-test-"));

  /// Also again after kill(), empty, on the same port.
  async start() {
    [this.port] = this.port ? [this.port] : await freePorts(1);
    this.url = `redis://127.0.0.1:${this.port}`;
    this.child = spawn("redis-server", [
      "--bind", "127.0.0.1", "--port", String(this.port), "--save", "", "--appendonly", "no", "--dir", this.folder,
    ], { stdio: "ignore" });
    this.exited = new Promise((done) => this.child.on("exit", done));
    await eventually("Redis answers", async () => {
      if (this.child.exitCode !== null) throw new Error("redis-server ended");
      return (await this.command("PING").catch(() => "")) === "+PONG\r\n";
    }, 10000);
    return this;
  }

  /// One command on a connection of its own; the raw answer, which must be short.
  command(...words) {
    return new Promise((done, failed) => {
      const socket = net.connect(this.port, "127.0.0.1");
      let answer = "";
      socket.setTimeout(2000, () => socket.destroy(new Error("Redis is silent")));
      socket.on("error", failed);
      socket.on("data", (text) => {
        answer += text;
        if (!answer.endsWith("\r\n")) return;
        socket.end();
        done(answer);
      });
      socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
    });
  }

  freeze() {
    this.child.kill("SIGSTOP");
  }

  thaw() {
    this.child.kill("SIGCONT");
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  async stop() {
    await this.kill();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
