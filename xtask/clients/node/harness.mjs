// The server under test, checks in the form of sentences, and every JSON body that they saw. The twin of ../shared.

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync } from "node:fs";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const SECRET_KEY = "sk_test_Hypernian0123456789Guide";
const READY_WITHIN_MS = 20_000;
const STOPPED_WITHIN_MS = 20_000;

/** Stripe's own Node client, unmodified. */
export const Stripe = createRequire(join(resolve(process.env.TAXIMETER_SUITE_NODE_MODULES), "/"))("stripe");

/** One data directory and the process that serves it. */
export class Server {
  #home = mkdtempSync(join(tmpdir(), "taximeter-client-"));
  #process = null;
  port = 0;

  /** Starts the process and returns when `/readyz` answers 200. */
  async start() {
    const command = ["serve", "--listen", `127.0.0.1:${this.port}`, "--data-dir", join(this.#home, "data")];
    command.push("--secret-key", SECRET_KEY);
    if (process.env.TAXIMETER_SUITE_DATABASE_URL) {
      command.push("--database-url", process.env.TAXIMETER_SUITE_DATABASE_URL);
    }
    // The server reads TAXIMETER_* as settings; whoever runs the suite must not configure it by accident.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TAXIMETER_")));
    const printedBefore = existsSync(this.#log) ? statSync(this.#log).size : 0;
    const output = openSync(this.#log, "a");
    this.#process = spawn(resolve(process.env.TAXIMETER_BIN), command, { stdio: ["ignore", output, output], env });
    closeSync(output);
    const started = this.#process;
    started.ended = new Promise((done) => started.once("exit", done).once("error", done));
    const deadline = Date.now() + READY_WITHIN_MS;
    while (!(await this.#ready(printedBefore))) {
      if (started.exitCode !== null || started.signalCode !== null || started.pid === undefined) {
        throw new Error(`the server ended with ${started.exitCode}:\n${this.tail()}`);
      }
      if (Date.now() > deadline) {
        throw new Error(`the server is not ready after ${READY_WITHIN_MS} ms:\n${this.tail()}`);
      }
      await sleep(20);
    }
  }

  /** Asks the process to end (SIGTERM) and expects it to end cleanly. */
  async stop() {
    const stopping = this.#process;
    if (stopping === null) throw new Error("the server is not running");
    this.#process = null;
    stopping.kill("SIGTERM");
    const code = await Promise.race([stopping.ended, sleep(STOPPED_WITHIN_MS, "timeout", { ref: false })]);
    if (code !== 0) {
      stopping.kill("SIGKILL");
      throw new Error(`the server ended with ${code} on SIGTERM:\n${this.tail()}`);
    }
  }

  /** Ends what still runs and removes the directory. */
  discard() {
    this.#process?.kill("SIGKILL");
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** The last lines that the process printed. */
  tail() {
    return readFileSync(this.#log, "utf8").split("\n").slice(-30).join("\n");
  }

  get #log() {
    return join(this.#home, "server.log");
  }

  async #ready(printedBefore) {
    if (this.port === 0) {
      const printed = readFileSync(this.#log).subarray(printedBefore).toString();
      const found = /http:\/\/127\.0\.0\.1:([1-9][0-9]*)/.exec(printed);
      if (!found) return false;
      this.port = Number(found[1]);
    }
    return fetch(`http://127.0.0.1:${this.port}/readyz`).then((answer) => answer.ok, () => false);
  }
}

/** Writes each body to its own file, to be held against Stripe's published types afterwards. */
class Bodies {
  #count = 0;

  keep(method, path, status, body) {
    const directory = process.env.TAXIMETER_SUITE_BODIES;
    if (!directory) return;
    mkdirSync(directory, { recursive: true });
    const request = `${method.toUpperCase()} ${path.split("?")[0]}`;
    const content = JSON.stringify({ suite: "node", request, status, body }, null, 2);
    for (;;) {
      this.#count += 1;
      try {
        // Never overwrite: the suite may have run before, on the other database.
        writeFileSync(join(directory, `node-${this.#count}.json`), content, { flag: "wx" });
        return;
      } catch (error) {
        if (error.code !== "EEXIST") throw error;
      }
    }
  }
}

const bodies = new Bodies();

/** A client for the server; each answer that it reads is kept. */
export function client(server, key = SECRET_KEY) {
  const http = Stripe.createNodeHttpClient();
  const makeRequest = http.makeRequest.bind(http);
  http.makeRequest = async (host, port, path, method, ...rest) => {
    const answer = await makeRequest(host, port, path, method, ...rest);
    const toJSON = answer.toJSON.bind(answer);
    answer.toJSON = async () => {
      const body = await toJSON();
      // The SDK turns decimal strings into `Decimal` in place, so the body is written down first.
      bodies.keep(method, path, answer.getStatusCode(), body);
      return body;
    };
    return answer;
  };
  return new Stripe(key, { host: "127.0.0.1", port: server.port, protocol: "http", httpClient: http });
}

/** Runs checks in the order in which they are written and counts them. */
export class Suite {
  #passed = 0;
  #failed = 0;

  /** Runs one check, prints its line, and tells whether it passed. */
  async check(sentence, body) {
    try {
      await body();
      this.#passed += 1;
      console.log(`passed  ${sentence}`);
      return true;
    } catch (error) {
      this.#failed += 1;
      console.log(`FAILED  ${sentence}: ${String(error.message ?? error).replace(/\s+/g, " ")}`);
      console.error(error.stack);
      return false;
    }
  }

  /** Prints the last line. A suite without a single check has failed. */
  exitCode() {
    console.log(`node: ${this.#passed} passed, ${this.#failed} failed`);
    return this.#failed === 0 && this.#passed > 0 ? 0 : 1;
  }
}
