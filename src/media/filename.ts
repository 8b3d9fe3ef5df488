/** File names as they may be shown and stored: one part, no controls, at most 255 bytes. */

const MAX_BYTES = 255

/** Control, bidirectional and invisible characters hide what a name is; the rest are separators of some system. */
const CONTROLS =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g
const SEPARATORS = /[\\/:*?"<>|]/g
/** Names that Windows takes for devices, whatever follows the first dot. */
const DEVICES = /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i

/**
 * The last path part of `name`, without controls and separators, not hidden, cut to 255 bytes of UTF-8 in front of its
 * extension; null when nothing is left.
 */
export function safeFilename(name: string): string | null {
  const last = name.toWellFormed().normalize('NFC').split(/[\\/]/).at(-1) ?? ''
  const plain = last
    .replace(CONTROLS, '')
    .replace(SEPARATORS, '_')
    .trim()
    .replace(/^\.+/, '')
    .replace(/[. ]+$/, '')
    .replace(DEVICES, '_$&')
  return plain === '' ? null : shortened(plain)
}

function shortened(name: string): string {
  if (Buffer.byteLength(name) <= MAX_BYTES) return name
  const extension = /\.[A-Za-z0-9]{1,16}$/.exec(name)?.[0] ?? ''
  const room = MAX_BYTES - extension.length
  let stem = ''
  let used = 0
  for (const character of name.slice(0, name.length - extension.length)) {
    used += Buffer.byteLength(character)
    if (used > room) break
    stem += character
  }
  return stem.trimEnd() + extension
}
