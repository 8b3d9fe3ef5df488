/** Preloaded into a measured process: SIGUSR2 collects garbage, so that memory figures compare like with like. */
process.on('SIGUSR2', () => Bun.gc(true))
