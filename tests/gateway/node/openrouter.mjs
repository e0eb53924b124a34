// OpenRouter's own client. It checks every field of what it is told.
import { OpenRouter } from "@openrouter/sdk";
import { FUNCTION, HI, SCHEMA, answer } from "./lines.mjs";

const hub = ({ url, key }) =>
  new OpenRouter({ serverURL: `${url}/api/v1`, apiKey: key, retryConfig: { strategy: "none" }, timeoutMs: 10_000 });
const send = (asked, more = {}) =>
  hub(asked).chat.send({
    chatRequest: { model: asked.model, messages: [{ role: "user", content: asked.prompt ?? HI }], ...more },
  });

/** The message of a stream: it has no helper for that. */
async function joined(chunks) {
  const message = { role: "assistant", content: null, toolCalls: [] };
  for await (const chunk of chunks) {
    for (const { index, id, function: said } of chunk.choices[0]?.delta.toolCalls ?? []) {
      message.toolCalls[index] ??= { id, type: "function", function: { name: said.name, arguments: "" } };
      message.toolCalls[index].function.arguments += said.arguments ?? "";
    }
  }
  return message;
}

await answer({
  async chat(asked) {
    const { choices, usage } = await send(asked);
    return { text: choices[0].message.content, finish: choices[0].finishReason, cost: usage.cost };
  },
  async stream(asked, told) {
    for await (const chunk of await send(asked, { stream: true })) {
      const [choice] = chunk.choices;
      told.text += choice?.delta.content ?? "";
      told.finish = choice?.finishReason ?? told.finish;
      told.cost = chunk.usage?.cost;
      // It raises nothing for an error within a stream; who reads it looks.
      if (chunk.error) throw Object.assign(new Error(chunk.error.message), { status: chunk.error.code });
    }
  },
  async tools(asked) {
    const messages = [{ role: "user", content: asked.prompt ?? HI }];
    const first = await send(asked, { tools: [FUNCTION], toolChoice: "required", stream: Boolean(asked.stream) });
    const message = asked.stream ? await joined(first) : first.choices[0].message;
    const results = message.toolCalls.map(({ id }) => ({ role: "tool", toolCallId: id, content: "sunny" }));
    const last = await send(asked, { tools: [FUNCTION], messages: [...messages, message, ...results] });
    const calls = message.toolCalls.map((one) => [one.function.name, JSON.parse(one.function.arguments)]);
    return { calls, text: last.choices[0].message.content };
  },
  async json(asked) {
    const responseFormat = { type: "json_schema", jsonSchema: { name: "n", strict: true, schema: SCHEMA } };
    return { data: JSON.parse((await send(asked, { responseFormat })).choices[0].message.content) };
  },
  async models(asked) {
    const found = await hub(asked).models.list();
    return { models: (found.result ?? found).data.map(({ id }) => id) };
  },
});
