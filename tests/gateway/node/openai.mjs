// OpenAI's own client, chat completions.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { FUNCTION, HI, Number_, answer } from "./lines.mjs";

const hub = ({ url, key }) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, timeout: 10_000 });
const asking = (asked) => ({ model: asked.model, messages: [{ role: "user", content: asked.prompt ?? HI }] });

await answer({
  async chat(asked) {
    const { choices, usage } = await hub(asked).chat.completions.create(asking(asked));
    return { text: choices[0].message.content, finish: choices[0].finish_reason, cost: usage.cost };
  },
  async stream(asked, told) {
    const chunks = await hub(asked).chat.completions.create({ ...asking(asked), stream: true });
    for await (const chunk of chunks) {
      const [choice] = chunk.choices;
      told.text += choice?.delta.content ?? "";
      told.finish = choice?.finish_reason ?? told.finish;
      told.cost = chunk.usage?.cost;
    }
  },
  async tools(asked) {
    const client = hub(asked);
    const body = { ...asking(asked), tools: [FUNCTION] };
    const ask = (more) =>
      asked.stream
        ? client.chat.completions.stream({ ...body, ...more }).finalChatCompletion()
        : client.chat.completions.create({ ...body, ...more });
    const first = await ask({ tool_choice: "required" });
    const { message } = first.choices[0];
    const results = message.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "sunny" }));
    const last = await ask({ messages: [...body.messages, message, ...results] });
    const calls = message.tool_calls.map((one) => [one.function.name, JSON.parse(one.function.arguments)]);
    return { calls, text: last.choices[0].message.content };
  },
  async json(asked) {
    const response_format = zodResponseFormat(Number_, "n");
    const found = await hub(asked).chat.completions.parse({ ...asking(asked), response_format });
    return { data: found.choices[0].message.parsed };
  },
  async models(asked) {
    const models = [];
    for await (const one of hub(asked).models.list()) models.push(one.id);
    return { models };
  },
});
