/** Imported before anything else: the compiled program is always in production, whatever the environment forgets to say. */
if (Bun.isStandaloneExecutable) process.env.NODE_ENV ??= 'production'
