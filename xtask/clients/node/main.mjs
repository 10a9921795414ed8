// The node suite: npm `stripe` walks the pay-as-you-go guide, then pages, expands, searches and is refused.

import { Server, Suite, client } from "./harness.mjs";
import { corrections } from "./corrections.mjs";
import { guide } from "./guide.mjs";
import { machinery } from "./machinery.mjs";
import { stream } from "./stream.mjs";
import { webhooks } from "./webhooks.mjs";

const suite = new Suite();
const server = new Server();
// No server outlives its suite.
process.once("SIGTERM", () => {
  server.discard();
  process.exit(1);
});
try {
  if (await suite.check("the server starts and is ready", () => server.start())) {
    const world = { server, stripe: client(server) };
    await guide(suite, world);
    await machinery(suite, world);
    await stream(suite, world);
    await corrections(suite, world);
    await webhooks(suite, world);
    await suite.check("the server stops cleanly on SIGTERM", () => server.stop());
  }
} finally {
  server.discard();
}
process.exitCode = suite.exitCode();
