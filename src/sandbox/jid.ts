/** Addresses: `user[:device]@server`. */

/** A parsed address; `device` is undefined when the address names a person or group, not a device. */
export type Jid = { user: string; server: string; device: number | undefined }

const SHAPE = /^([^@:]*)(?::(\d{1,3}))?@([a-z.]+)$/

/** Parses an address; undefined when it is none. */
export function parseJid(text: string | undefined): Jid | undefined {
  const parts = text === undefined ? null : SHAPE.exec(text)
  if (parts === null) return undefined
  const [, user = '', device, server = ''] = parts
  return { user, server, device: device === undefined ? undefined : Number(device) }
}

/** Device 0, the phone, is written without a suffix, as clients write it. */
export const jidOf = (user: string, server: string, device = 0): string =>
  device === 0 ? `${user}@${server}` : `${user}:${device}@${server}`

export const isGroup = (text: string): boolean => text.endsWith('@g.us')
export const STATUS = 'status@broadcast'
export const isChannel = (text: string): boolean => text.endsWith('@newsletter')
/** A chat of many, in which each message names its author. */
export const isShared = (text: string): boolean => isGroup(text) || text === STATUS
