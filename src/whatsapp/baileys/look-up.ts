/** Asks WhatsApp which numbers have an account. */
import { USyncQuery, USyncUser, type WASocket } from '@whiskeysockets/baileys'
import { fail } from '../../domain/errors'
import { partyOf } from '../../domain/ids'
import type { NumberLookup } from '../../domain/whatsapp'

/** One answer per number, in the order asked; rejects with `SESSION_NOT_CONNECTED` when WhatsApp does not answer. */
export async function lookUpNumbers(
  sock: Pick<WASocket, 'executeUSyncQuery'>,
  phoneNumbers: readonly string[],
): Promise<NumberLookup[]> {
  const query = new USyncQuery().withContactProtocol().withLIDProtocol().withContext('interactive')
  for (const number of phoneNumbers) query.withUser(new USyncUser().withPhone(`+${number}`))
  const result = await sock.executeUSyncQuery(query)
  if (!result) throw fail('SESSION_NOT_CONNECTED', { reason: 'WhatsApp did not answer' })
  return answersOf(phoneNumbers, result.list)
}

type Answer = { id: string; contact?: unknown; lid?: unknown }

/** WhatsApp answers with its own form of the number, in the order asked; an unanswered one is not there. */
function answersOf(phoneNumbers: readonly string[], list: readonly Answer[]): NumberLookup[] {
  const answers = list.map((entry) => ({
    party: partyOf(entry.id, typeof entry.lid === 'string' ? entry.lid : null),
    exists: entry.contact === true,
  }))
  return phoneNumbers.map((asked, index) => {
    const exact = answers.find(({ party }) => party.phoneNumber === asked)
    const answer = exact ?? (answers.length === phoneNumbers.length ? answers[index] : undefined)
    return {
      phoneNumber: answer?.party.phoneNumber ?? asked,
      exists: answer?.exists ?? false,
      lid: answer?.party.lid ?? null,
    }
  })
}
