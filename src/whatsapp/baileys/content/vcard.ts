/** vCard 3.0 (RFC 2426), as far as WhatsApp's clients show it: name, number, organisation, e-mail, address on the web. */
import type { ContactCard } from '../../../domain/content-plain'
import { parsePhoneNumber } from '../../../domain/ids'

const escaped = (text: string): string => text.replace(/[\\;,]/g, '\\$&').replace(/\r\n?|\n/g, '\\n')

/** The card of a person; `waid` makes the number a button that opens a chat. */
export function writeCard({ fullName, phoneNumber, organization, email, url }: ContactCard): string {
  const digits = phoneNumber === undefined ? null : parsePhoneNumber(phoneNumber)
  const lines = [
    'BEGIN:VCARD',
    'VERSION:3.0',
    `N:;${escaped(fullName)};;;`,
    `FN:${escaped(fullName)}`,
    ...(organization ? [`ORG:${escaped(organization)}`] : []),
    ...(digits ? [`TEL;type=CELL;type=VOICE;waid=${digits}:+${digits}`] : []),
    ...(phoneNumber && !digits ? [`TEL:${escaped(phoneNumber)}`] : []),
    ...(email ? [`EMAIL:${escaped(email)}`] : []),
    ...(url ? [`URL:${escaped(url)}`] : []),
    'END:VCARD',
  ]
  return lines.join('\n')
}

const LINE = /^(?:[\w-]+\.)?([A-Za-z-]+)((?:;[^:]*)?):(.*)$/
const WAID = /;waid=(\d+)/i
const ESCAPE = /\\([\\;,nN])/g
const FOLD = /\r?\n[ \t]/g

const plain = (value: string): string =>
  value.replace(ESCAPE, (_, mark: string) => (mark.toLowerCase() === 'n' ? '\n' : mark)).trim()

/** The units of an organisation stand between semicolons, and many clients end with an empty one. */
const units = (value: string): string =>
  (value.match(/(?:\\.|[^;\\])+/g) ?? [])
    .map(plain)
    .filter((unit) => unit !== '')
    .join(', ')

/** What a card says, of each field the first. Anything that is no card says nothing. */
export function readCard(vcard: string): Omit<ContactCard, 'fullName' | 'vcard'> & { fullName?: string } {
  const found: Record<string, string> = {}
  let waid: string | undefined
  for (const line of vcard.replace(FOLD, '').split(/\r?\n/)) {
    const [, name = '', parameters = '', value = ''] = LINE.exec(line) ?? []
    if (name === '') continue
    const field = name.toUpperCase()
    const text = field === 'ORG' ? units(value) : plain(value)
    if (text !== '') found[field] ??= text
    if (field === 'TEL') waid ??= WAID.exec(parameters)?.[1]
  }
  const phoneNumber = waid ?? found.TEL
  return {
    ...(found.FN ? { fullName: found.FN } : {}),
    ...(phoneNumber ? { phoneNumber } : {}),
    ...(found.ORG ? { organization: found.ORG } : {}),
    ...(found.EMAIL ? { email: found.EMAIL } : {}),
    ...(found.URL ? { url: found.URL } : {}),
  }
}
