/** A server in a process of its own that answers with 200 MB as fast as they are taken; prints its URL. */
const SIZE = 200 * 1024 * 1024
const PIECE = new Uint8Array(1024 * 1024)

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch() {
    let left = SIZE
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(PIECE)
        left -= PIECE.length
        if (left <= 0) controller.close()
      },
    })
    return new Response(body)
  },
})
console.log(server.url.href)
