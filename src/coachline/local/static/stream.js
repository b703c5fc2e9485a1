// Server-sent events over fetch: unlike EventSource it tells why a stream was refused.

const SILENCE_MS = 45_000; // three heartbeats of the server
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function readEvents(body, onEvent, onSign) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onSign();
    const blocks = (held + value).split("\n\n");
    held = blocks.pop();
    for (const block of blocks) {
      const fields = new Map(
        block.split("\n").map((line) => {
          const at = line.indexOf(": ");
          return [line.slice(0, at), line.slice(at + 2)];
        }),
      );
      if (fields.has("data")) onEvent(fields.get("event"), JSON.parse(fields.get("data")));
    }
  }
}

/**
 * Keep one stream open until `signal` aborts; open it again whenever it breaks.
 *
 * `onEvent(name, data)` gets what arrives, `onState(isThere)` whether the server answers.
 */
export async function keepStream(url, { signal, onEvent, onState }) {
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    const control = new AbortController();
    let timer = setTimeout(() => control.abort(), SILENCE_MS);
    const onSign = () => {
      clearTimeout(timer);
      timer = setTimeout(() => control.abort(), SILENCE_MS);
    };
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, control.signal]), cache: "no-store" });
      // 404: the server was started anew and knows the session again after the next message.
      onState(response.ok || response.status === 404);
      if (response.ok) {
        wait = FIRST_WAIT_MS;
        await readEvents(response.body, onEvent, onSign);
      }
    } catch {
      if (!signal.aborted) onState(false);
    } finally {
      clearTimeout(timer);
      control.abort();
    }
    await pause(wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}
