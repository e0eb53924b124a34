// Anthropic's own client.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { CITY, HI, Number_, answer } from "./lines.mjs";

const hub = ({ url, key }) => new Anthropic({ baseURL: url, apiKey: key, timeout: 10_000, maxRetries: 0 });
const asking = (asked) => ({
  model: asked.model,
  max_tokens: 400,
  messages: [{ role: "user", content: asked.prompt ?? HI }],
});
const words = ({ content }) => content.map((block) => block.text ?? "").join("");

await answer({
  async chat(asked) {
    const message = await hub(asked).messages.create(asking(asked));
    return { text: words(message), finish: message.stop_reason, cost: message.usage.cost };
  },
  async stream(asked, told) {
    const stream = hub(asked).messages.stream(asking(asked));
    stream.on("text", (delta) => (told.text += delta));
    const message = await stream.finalMessage();
    return { finish: message.stop_reason, cost: message.usage.cost };
  },
  async tools(asked) {
    const client = hub(asked);
    const body = { ...asking(asked), tools: [{ name: "get_weather", input_schema: CITY }] };
    const ask = (more) =>
      asked.stream
        ? client.messages.stream({ ...body, ...more }).finalMessage()
        : client.messages.create({ ...body, ...more });
    const first = await ask({ tool_choice: { type: "any" } });
    const uses = first.content.filter(({ type }) => type === "tool_use");
    const results = uses.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "sunny" }));
    const said = [{ role: "assistant", content: first.content }, { role: "user", content: results }];
    const last = await ask({ messages: [...body.messages, ...said] });
    return { calls: uses.map(({ name, input }) => [name, input]), text: words(last) };
  },
  async json(asked) {
    const output_config = { format: zodOutputFormat(Number_) };
    return { data: (await hub(asked).messages.parse({ ...asking(asked), output_config })).parsed_output };
  },
  async models(asked) {
    const models = [];
    for await (const one of hub(asked).models.list()) models.push(one.id);
    return { models };
  },
});
