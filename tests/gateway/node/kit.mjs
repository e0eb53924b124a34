// openrouter-kit, which is no client of OpenRouter's own.
import kit from "openrouter-kit";
import { FUNCTION, HI, SCHEMA, answer } from "./lines.mjs";

const { OpenRouterClient } = kit;

/** What is done with a client that is put away afterwards. */
async function using({ url, key, model, ...asked }, work) {
  const client = new OpenRouterClient({
    apiKey: key,
    apiEndpoint: `${url}/api/v1/chat/completions`,
    apiBaseUrl: `${url}/api/v1`,
    model,
    enableCostTracking: true,
    initialModelPrices: {},
  });
  try {
    return await work(client, asked.prompt ?? HI);
  } finally {
    await client.destroy();
  }
}
const told_ = ({ content, finishReason, usage }) => ({ text: content, finish: finishReason, cost: usage?.cost });

await answer({
  chat: (asked) => using(asked, async (client, prompt) => told_(await client.chat({ prompt }))),
  stream: (asked, told) =>
    using(asked, async (client, prompt) => {
      const streamCallbacks = { onContent: (words) => (told.text += words) };
      const { text, ...rest } = told_(await client.chatStream({ prompt, streamCallbacks }));
      // It raises nothing for an error within a stream; who reads it looks.
      if (rest.finish === "error") throw new Error("the answer broke off");
      return rest;
    }),
  tools: (asked) =>
    using(asked, async (client, prompt) => {
      const calls = [];
      const execute = async (input) => {
        calls.push(["get_weather", input]);
        return "sunny";
      };
      const wanted = { prompt, tools: [{ ...FUNCTION, execute }] };
      const found = await (asked.stream ? client.chatStream(wanted) : client.chat(wanted));
      return { calls, text: found.content };
    }),
  json: (asked) =>
    using(asked, async (client, prompt) => {
      const responseFormat = { type: "json_schema", json_schema: { name: "n", strict: true, schema: SCHEMA } };
      return { data: (await client.chat({ prompt, responseFormat, strictJsonParsing: true })).content };
    }),
  models: (asked) =>
    using(asked, async (client) => {
      await client.refreshModelPrices();
      return { models: Object.keys(client.getModelPrices()) };
    }),
});
