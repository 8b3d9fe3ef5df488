/** Writes to standard output; resolves when all of it has left: a pipe takes a piece at a time, and the process ends after this. */
export const printWhole = (text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
