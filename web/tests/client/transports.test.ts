/**
 * The way to the relay over a real socket: no redirect is followed, no answer is endless, plain http stays on this machine
 * (CLT-025, CLT-026).
 */

import { type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { WebSocketServer } from "ws";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { httpTransport } from "../../src/client/transports/http.ts";
import { openSocket } from "../../src/client/transports/websocket.ts";
import type { RawSocket } from "../../src/client/transports/websocket.ts";
import { WebSocket } from "ws";

let server: Server;
let other: Server;
let sockets: WebSocketServer;
let [origin, elsewhere] = ["", ""];
const asked: string[] = [];

const listening = (one: Server): Promise<string> => new Promise((done) => {
  one.listen(0, "127.0.0.1", () => done(`http://127.0.0.1:${(one.address() as AddressInfo).port}`));
});

/** Sends for ever, until the other side hangs up. */
function endless(response: ServerResponse): void {
  const part = Buffer.alloc(1 << 20);
  const more = (): void => {
    while (!response.destroyed && response.write(part));
  };
  response.on("drain", more);
  more();
}

beforeAll(async () => {
  other = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? ""}`);
    response.end("{}");
  });
  elsewhere = await listening(other);
  server = createServer((request, response) => {
    if (request.url === "/moved") response.writeHead(307, { location: `${elsewhere}/there` }).end();
    else if (request.url === "/endless") endless(response);
    else if (request.url === "/broken") response.writeHead(200, { "content-length": "10" }).write("half", () => response.destroy());
    else response.writeHead(200, { "x-said": request.headers.authorization ?? "" }).end(request.method);
  });
  origin = await listening(server);
  sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => {
      const text = String(data);
      if (text === "end") socket.close(1001);
      else if (text === "bytes") socket.send(Buffer.from([1]));
      else socket.send(text);
    });
  });
});
afterAll(() => {
  sockets.close();
  server.close();
  other.close();
});

describe("requests", () => {
  test("carry method, body and token to their own origin", async () => {
    const answer = await httpTransport(origin).request({ method: "PUT", path: "/x", token: "t", body: new TextEncoder().encode("{}") });
    expect([answer.status, new TextDecoder().decode(answer.body), answer.headers["x-said"]]).toEqual([200, "PUT", "Bearer t"]);
  });

  test("a redirect is not followed, and the token goes nowhere", async () => {
    await expect(httpTransport(origin).request({ method: "GET", path: "/moved", token: "secret" })).rejects.toMatchObject({ code: "L_UNREACHABLE" });
    expect(asked).toEqual([]);
    // Control: a client that follows sends its request there.
    await fetch(`${origin}/moved`);
    expect(asked).toEqual(["/there "]);
  });

  test("an endless answer is cut off, half an answer is none", async () => {
    await expect(httpTransport(origin).request({ method: "GET", path: "/endless" })).rejects.toMatchObject({ code: "E_TOO_LARGE" });
    await expect(httpTransport(origin).request({ method: "GET", path: "/broken" })).rejects.toMatchObject({ code: "L_UNREACHABLE" });
    await expect(httpTransport("http://127.0.0.1:1").request({ method: "GET", path: "/" })).rejects.toMatchObject({ code: "L_UNREACHABLE" });
  });

  test("plain http only to this machine", () => {
    for (const fine of ["https://cloister.example", "http://localhost:8420", "http://127.0.0.9", "http://[::1]:8420"]) {
      expect(httpTransport(fine).origin).toBe(fine);
    }
    for (const bad of ["http://cloister.example", "http://127.example", "http://localhost.example", "http://128.0.0.1", "ftp://localhost"]) {
      expect(() => httpTransport(bad)).toThrow(expect.objectContaining({ code: "L_USAGE" }));
    }
  });
});

describe("the live connection", () => {
  const open = (): ReturnType<typeof openSocket> => openSocket(`ws${origin.slice(4)}/v1/socket`, (url) => new WebSocket(url) as unknown as RawSocket);

  test("frames come one after another, a quiet line is no end, an end is", async () => {
    const socket = await open();
    await socket.send("one");
    await socket.send("two");
    expect([await socket.receive(5), await socket.receive(5), await socket.receive(0.01)]).toEqual(["one", "two", undefined]);
    await socket.send("end");
    await expect(socket.receive(5)).rejects.toMatchObject({ code: "L_UNREACHABLE" });
    await expect(socket.send("more")).rejects.toMatchObject({ code: "L_UNREACHABLE" });
  });

  test("what is no text ends it", async () => {
    const socket = await open();
    await socket.send("bytes");
    await expect(socket.receive(5)).rejects.toMatchObject({ code: "L_UNREACHABLE" });
  });

  test("nobody there", async () => {
    await expect(openSocket("ws://127.0.0.1:1/", (url) => new WebSocket(url) as unknown as RawSocket)).rejects.toMatchObject({ code: "L_UNREACHABLE" });
  });
});
