/**
 * Forms in which people write one mobile number, in the countries that have changed theirs (field notes A22).
 *
 * WhatsApp knows an account under the form in which it was registered, so the forms are asked for together and its answer
 * counts; nothing is rewritten by rule.
 */

type Rule = { long: RegExp; short: RegExp; digits: string; at: number }

const RULES: readonly Rule[] = [
  // Brazil put a 9 before its mobile numbers, which begin with 6–9; what begins lower is a landline and has one form.
  { long: /^55\d{2}9[6-9]\d{7}$/, short: /^55\d{2}[6-9]\d{7}$/, digits: '9', at: 4 },
  // Mexico had a 1 before mobile numbers dialled from abroad, and has dropped it.
  { long: /^521\d{10}$/, short: /^52[2-9]\d{9}$/, digits: '1', at: 2 },
  // Argentina has a 9 before mobile numbers dialled from abroad.
  { long: /^549\d{10}$/, short: /^54[1-8]\d{9}$/, digits: '9', at: 2 },
]

/** The number itself first, then its other forms. */
export function variantsOf(phoneNumber: string): string[] {
  for (const { long, short, digits, at } of RULES) {
    if (long.test(phoneNumber))
      return [phoneNumber, phoneNumber.slice(0, at) + phoneNumber.slice(at + digits.length)]
    if (short.test(phoneNumber))
      return [phoneNumber, phoneNumber.slice(0, at) + digits + phoneNumber.slice(at)]
  }
  return [phoneNumber]
}
