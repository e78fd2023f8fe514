/** One event of a stream, as in the HTML standard. `data` are its lines, joined. */
export interface ServerSentEvent {
  id: string;
  name: string;
  data: string;
}

/**
 * Yield the events in a stream of bytes. An event that the stream cuts off is not yielded.
 *
 * Lines can be long, because outputs and previews are inside, so each chunk is searched for line ends once.
 */
export async function* eventsIn(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  let event = { id: "", name: "", data: [] as string[] };
  let endsWithReturn = false;
  for await (const chunk of chunks) {
    let text = decoder.decode(chunk, { stream: true });
    if (endsWithReturn && text.startsWith("\n")) text = text.slice(1);
    if (text) endsWithReturn = text.endsWith("\r");
    const lines = text.split(/\r\n|\r|\n/);
    for (const [index, line] of lines.entries()) {
      pieces.push(line);
      if (index === lines.length - 1) break;
      const whole = pieces.join("");
      pieces = [];
      if (whole) {
        addLine(event, whole);
        continue;
      }
      if (event.data.length) yield { id: event.id, name: event.name || "message", data: event.data.join("\n") };
      event = { id: event.id, name: "", data: [] };
    }
  }
}

/** Add a line with a field to an event. A comment has an empty name. */
function addLine(event: { id: string; name: string; data: string[] }, line: string): void {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "data") event.data.push(value);
  else if (name === "event") event.name = value;
  else if (name === "id") event.id = value;
}
