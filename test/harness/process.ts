/**
 * The product, the sandbox and other servers as real child processes: started, waited for, killed.
 *
 * A child is ready when a line on its stdout says `listening on http://…`. Everything it writes is kept, because some
 * tests read it. Children never outlive the process that started them.
 */
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..', '..')
const READY = /listening on (https?:\/\/[^\s"']+)/

const alive = new Set<Child>()
process.once('exit', () => {
  for (const child of alive) child.signal('SIGKILL')
})

export type ChildOptions = {
  /** How failures name it. */
  name: string
  /** Arguments after `bun`. */
  args: readonly string[]
  /** The whole environment beside PATH and HOME: nothing of the caller's leaks into the child. */
  env: Readonly<Record<string, string>>
  cwd?: string
  /** Longest wait for the ready line (ms). */
  readyWithinMs?: number
  /** Told the process id as soon as there is one. */
  onSpawn?: (pid: number) => void
  /** Run this compiled program in place of `bun <args>`; gets `args` as they are. */
  program?: string
}

/** A running child process. */
export interface Child {
  readonly pid: number
  /** Base URL from the ready line, without a trailing slash. */
  readonly url: string
  /** From the call of `spawn` to the ready line (ms). */
  readonly readyAfterMs: number
  /** Everything written so far, stdout and stderr as they came. */
  output(): string
  signal(name: 'SIGKILL' | 'SIGTERM' | 'SIGUSR2' | 'SIGSTOP' | 'SIGCONT'): void
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGTERM and, after ten seconds, SIGKILL; resolves with the exit code (null = killed). */
  stop(): Promise<number | null>
  readonly exited: Promise<number>
}

/** Starts a child and resolves once it listens; rejects with its output when it ends or stays silent. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const startedAt = performance.now()
  const spawned = Bun.spawn([options.program ?? process.execPath, ...options.args], {
    cwd: options.cwd ?? ROOT,
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...options.env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  options.onSpawn?.(spawned.pid)
  const pieces: string[] = []
  let url = ''
  const listening = Promise.withResolvers<number>()
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder()
    let tail = ''
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true })
      pieces.push(text)
      if (url !== '') continue
      tail = (tail + text).slice(-4096)
      const found = READY.exec(tail)
      // A line may arrive in two pieces: only a whole one names the whole address.
      if (found?.[1] === undefined || !tail.slice(found.index).includes('\n')) continue
      url = found[1].replace(/\/$/, '')
      listening.resolve(performance.now() - startedAt)
    }
  }
  const drained = Promise.all([collect(spawned.stdout), collect(spawned.stderr)])
  const exited = spawned.exited.then(async (code) => {
    alive.delete(child)
    await drained
    return code
  })
  const child = {
    pid: spawned.pid,
    get url() {
      return url
    },
    readyAfterMs: 0,
    output: () => pieces.join(''),
    signal: (name: 'SIGKILL') => spawned.kill(name),
    exited,
    async kill() {
      spawned.kill('SIGKILL')
      await exited
    },
    async stop() {
      spawned.kill('SIGTERM')
      const timer = setTimeout(() => spawned.kill('SIGKILL'), 10_000)
      await exited
      clearTimeout(timer)
      return spawned.exitCode
    },
  } satisfies Child & { readyAfterMs: number }
  alive.add(child)

  const within = options.readyWithinMs ?? 30_000
  const timer = setTimeout(() => listening.reject(new Error(`not ready within ${within} ms`)), within)
  exited.then((code) => listening.reject(new Error(`ended with exit code ${code}`)))
  try {
    child.readyAfterMs = await listening.promise
    return child
  } catch (error) {
    await child.kill()
    throw new Error(`${options.name}: ${(error as Error).message}\n${child.output().slice(-4000)}`)
  } finally {
    clearTimeout(timer)
  }
}

/** Where a server talks to WhatsApp: the three variables of another endpoint, plus how its media host is trusted. */
export type Endpoint = {
  WHATSAPP_URL: string
  WHATSAPP_ROOT_KEY: string
  WHATSAPP_MEDIA_HOSTS: string
  NODE_EXTRA_CA_CERTS?: string
}
