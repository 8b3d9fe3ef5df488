/**
 * A server in a process of its own that answers with 200 MB as fast as they are taken, and at `/sent` with how many have
 * been; prints its URL.
 */
const SIZE = 200 * 1024 * 1024
const PIECE = new Uint8Array(1024 * 1024)
let sent = 0

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request) {
    if (new URL(request.url).pathname === '/sent') return new Response(String(sent))
    const body = new ReadableStream(
      {
        pull(controller) {
          controller.enqueue(PIECE)
          sent += PIECE.length
          if (sent >= SIZE) controller.close()
        },
      },
      { highWaterMark: 0 },
    )
    return new Response(body)
  },
})
console.log(server.url.href)
