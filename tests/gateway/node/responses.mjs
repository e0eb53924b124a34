// OpenAI's own client, the Responses API.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { HI, Number_, WEATHER, answer } from "./lines.mjs";

const hub = ({ url, key }) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, timeout: 10_000 });
const asking = (asked) => ({ model: asked.model, input: [{ role: "user", content: asked.prompt ?? HI }] });
const whole = ({ output_text, status, usage }) => ({ text: output_text, finish: status, cost: usage.cost });

await answer({
  async chat(asked) {
    return whole(await hub(asked).responses.create(asking(asked)));
  },
  async stream(asked, told) {
    const stream = hub(asked).responses.stream(asking(asked));
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") told.text += event.delta;
    }
    const { text, ...rest } = whole(await stream.finalResponse());
    return rest;
  },
  async tools(asked) {
    const client = hub(asked);
    const body = { ...asking(asked), tools: [{ type: "function", ...WEATHER }] };
    const ask = (more) =>
      asked.stream
        ? client.responses.stream({ ...body, ...more }).finalResponse()
        : client.responses.create({ ...body, ...more });
    const first = await ask({ tool_choice: "required" });
    const calls = first.output.filter(({ type }) => type === "function_call");
    const results = calls.map(({ call_id }) => ({ type: "function_call_output", call_id, output: "sunny" }));
    const last = await ask({ input: [...body.input, ...first.output, ...results] });
    return { calls: calls.map((one) => [one.name, JSON.parse(one.arguments)]), text: last.output_text };
  },
  async json(asked) {
    const found = await hub(asked).responses.parse({ ...asking(asked), text: { format: zodTextFormat(Number_, "n") } });
    return { data: found.output_parsed };
  },
});
