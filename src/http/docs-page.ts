/** `/docs` and `/docs/openapi.json`: the document, and a plain page that reads it without any outside resource. */
import { Elysia } from 'elysia'
import { notes } from './docs'

/** Makes the two public routes; `document` is built on the first request. */
export function docsRoutes(document: () => object) {
  let json: string | null = null
  return new Elysia({ normalize: false })
    .get(
      '/docs/openapi.json',
      () => {
        json ??= JSON.stringify(document())
        return new Response(json, { headers: { 'content-type': 'application/json;charset=utf-8' } })
      },
      { detail: notes({ summary: 'This document', tags: ['Status'] }) },
    )
    .get(
      '/docs',
      () =>
        new Response(PAGE, {
          headers: {
            'content-type': 'text/html; charset=utf-8',
            'content-security-policy':
              "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
          },
        }),
      { detail: notes({ summary: 'This documentation for people', tags: ['Status'] }) },
    )
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Wabun API</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  summary { cursor: pointer; padding: .4rem 0 } summary code { font-weight: 600 }
  details { border-top: 1px solid #8884 } pre { overflow: auto; padding: .8rem; background: #8882; border-radius: .4rem }
  .verb { display: inline-block; width: 5rem; font-family: monospace } .lock { opacity: .6 }
</style>
<h1>Wabun API</h1>
<p>The whole document is at <a href="/docs/openapi.json">/docs/openapi.json</a> (OpenAPI 3.1).</p>
<main id="routes">Loading…</main>
<script>
const show = (tag, text, to, more = {}) => to.appendChild(Object.assign(document.createElement(tag), { textContent: text }, more))
const block = (title, value, to) => { if (value !== undefined) { show('h4', title, to); show('pre', JSON.stringify(value, null, 2), to) } }
fetch('/docs/openapi.json').then((answer) => answer.json()).then((doc) => {
  const main = document.getElementById('routes'); main.textContent = ''
  for (const { name } of doc.tags) {
    show('h2', name, main)
    for (const [path, methods] of Object.entries(doc.paths)) for (const [method, op] of Object.entries(methods)) {
      if (!op.tags.includes(name)) continue
      const box = show('details', '', main), head = show('summary', '', box)
      show('span', method.toUpperCase(), head, { className: 'verb' }); show('code', path, head); show('span', '  ' + op.summary, head)
      if (op.security.length === 0) show('span', '  (public)', head, { className: 'lock' })
      if (op.description) show('p', op.description, box)
      if (op.parameters.length) block('Parameters', op.parameters.map((p) => p.in + ' ' + p.name + (p.description ? ': ' + p.description : '')), box)
      const [body] = Object.values(op.requestBody?.content ?? {}); block('Body', body?.example ?? body?.schema, box)
      for (const [status, answer] of Object.entries(op.responses)) {
        const json = answer.content?.['application/json']
        block(status + ' ' + answer.description, json?.example ?? (json?.examples ? Object.values(json.examples)[0].value : json?.schema), box)
      }
    }
  }
  block('Schemas', doc.components.schemas, main)
})
</script>
</html>
`
