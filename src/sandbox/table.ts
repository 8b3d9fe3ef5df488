/** Tables that are looked up with words from outside. */

/** The entry under a name; undefined for names that every object inherits. */
export const entryOf = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined
