/** Something that is started once and stopped once: a listener, a loop, a connection. */
export interface Part {
  readonly name: string
  start(): Promise<void> | void
  /** Ends everything the part owns; idempotent. */
  stop(): Promise<void> | void
}

/** Starts parts in order; when one fails, those already started are stopped again, and the failure is thrown. */
export async function startAll(parts: readonly Part[]): Promise<void> {
  const started: Part[] = []
  for (const part of parts) {
    try {
      await part.start()
      started.push(part)
    } catch (error) {
      await stopAll(started)
      throw error
    }
  }
}

/** Stops parts in reverse order; every part gets its turn, and the first failure is thrown at the end. */
export async function stopAll(parts: readonly Part[]): Promise<void> {
  const failures: unknown[] = []
  for (const part of [...parts].reverse()) {
    try {
      await part.stop()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
