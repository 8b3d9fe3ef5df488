/** A person's card in vCard 3.0, as WhatsApp's clients write and read it. */

export type Card = {
  fullName: string
  phoneNumber?: string | undefined
  organization?: string | undefined
  email?: string | undefined
  url?: string | undefined
}

const escaped = (value: string) => value.replace(/[\\,;]/g, '\\$&').replace(/\r?\n/g, '\\n')
const unescaped = (value: string) =>
  value.replace(/\\([\\,;nN])/g, (_, sign) => (/n/i.test(sign) ? '\n' : sign))

/** Writes a card. */
export function writeVcard({ fullName, phoneNumber, organization, email, url }: Card): string {
  const digits = phoneNumber?.replace(/\D/g, '')
  const lines = ['BEGIN:VCARD', 'VERSION:3.0', `N:;${escaped(fullName)};;;`, `FN:${escaped(fullName)}`]
  if (organization !== undefined) lines.push(`ORG:${escaped(organization)};`)
  if (digits) lines.push(`TEL;type=CELL;type=VOICE;waid=${digits}:+${digits}`)
  if (email !== undefined) lines.push(`EMAIL;type=INTERNET:${escaped(email)}`)
  if (url !== undefined) lines.push(`URL:${escaped(url)}`)
  return [...lines, 'END:VCARD'].join('\n')
}

const FIELDS = {
  FN: 'fullName',
  TEL: 'phoneNumber',
  ORG: 'organization',
  EMAIL: 'email',
  URL: 'url',
} as const

/** What a card says; the first value of each kind counts. */
export function readVcard(vcard: string): Partial<Card> {
  const card: Partial<Card> = {}
  // A line that begins with white space goes on with the one before it.
  for (const line of vcard.replace(/\r?\n[ \t]/g, '').split(/\r?\n/)) {
    const parts = /^(?:[\w-]+\.)?([\w-]+)[^:]*:(.*)$/.exec(line)
    const field = FIELDS[parts?.[1]?.toUpperCase() as keyof typeof FIELDS]
    if (!field || card[field] !== undefined) continue
    const value = field === 'organization' ? (parts?.[2] ?? '').replace(/(?<!\\);+$/, '') : (parts?.[2] ?? '')
    card[field] = unescaped(value)
  }
  return card
}
