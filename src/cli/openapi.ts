/** `wabun openapi`: the document that the server serves under /docs/openapi.json. */
export async function printOpenApi(): Promise<number> {
  return 1
}
