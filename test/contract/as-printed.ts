/** Whether an answer is what the manual prints: everything printed is there, in the same form. More may be there. */

/** Sentences, statuses and codes are compared word for word; anything else by its form. */
const WORDS = new Set(['success', 'message', 'status', 'error', 'code', 'event', 'name', 'description'])

/** Differences as sentences; empty when the answer is as printed. */
export function differences(
  answer: unknown,
  print: unknown,
  /** Paths (`session.name`) that may differ because the printed value belongs to another moment. */
  free: readonly string[] = [],
  path = '',
): string[] {
  if (Array.isArray(print)) {
    if (!Array.isArray(answer)) return [`${path} is not a list`]
    return print.length > 0 && answer.length === 0
      ? [`${path} is empty`]
      : answer.flatMap((item, index) => differences(item, print[0], free, `${path}[${index}]`))
  }
  if (typeof print === 'object' && print !== null) {
    if (typeof answer !== 'object' || answer === null) return [`${path} is not an object`]
    return Object.entries(print).flatMap(([key, value]) => {
      const inner = path === '' ? key : `${path}.${key}`
      if (free.includes(inner)) return []
      return key in answer
        ? differences((answer as Record<string, unknown>)[key], value, free, inner)
        : [`${inner} is missing`]
    })
  }
  const key =
    path
      .split('.')
      .at(-1)
      ?.replace(/\[\d+\]$/, '') ?? ''
  if (WORDS.has(key) || typeof print === 'boolean') {
    return answer === print ? [] : [`${path} is ${JSON.stringify(answer)}, printed ${JSON.stringify(print)}`]
  }
  return formOf(answer) === formOf(print)
    ? []
    : [`${path} is ${JSON.stringify(answer)}, printed ${JSON.stringify(print)}`]
}

const FORMS: [string, RegExp][] = [
  ['time', /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/],
  ['session id', /^[0-9a-f]{32}$/],
  ['phone number', /^\+\d{7,15}$/],
  ['PNG', /^data:image\/png;base64,/],
  ['seconds', /^\d+\.\d+s$/],
  ['percent', /^\d+\.\d+%$/],
  ['version', /^2\.\d{4}\.\d+$/],
  ['URL', /^https?:/],
]

/** What kind of value it is. */
export const formOf = (value: unknown): string =>
  typeof value === 'string'
    ? (FORMS.find(([, form]) => form.test(value))?.[0] ?? 'text')
    : value === null
      ? 'null'
      : typeof value
