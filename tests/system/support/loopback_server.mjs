// An HTTP server on a free port of this machine, for those that play a provider.
import http from "node:http";

/// A subclass has `serve(request, response)`.
export class LoopbackServer {
  server = http.createServer((request, response) => this.serve(request, response));

  async start() {
    await new Promise((ready) => this.server.listen(0, "127.0.0.1", ready));
    this.url = `http://127.0.0.1:${this.server.address().port}/v1`;
    return this;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((ended) => this.server.close(ended));
  }
}
