// Vercel's AI SDK with OpenRouter's provider.
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { Output, generateText, isStepCount, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { HI, Number_, answer } from "./lines.mjs";

const asking = ({ url, key, model, prompt }) => ({
  model: createOpenRouter({ baseURL: `${url}/api/v1`, apiKey: key })(model),
  prompt: prompt ?? HI,
  maxRetries: 0,
});
const cost = ({ providerMetadata }) => providerMetadata.openrouter.usage.cost;

await answer({
  async chat(asked) {
    const found = await generateText(asking(asked));
    return { text: found.text, finish: found.finishReason, cost: cost(found) };
  },
  async stream(asked, told) {
    let failed;
    const stream = streamText({ ...asking(asked), onError: ({ error }) => (failed = error) });
    for await (const words of stream.textStream) told.text += words;
    if (failed) throw failed;
    told.finish = await stream.finishReason;
    told.cost = cost({ providerMetadata: await stream.providerMetadata });
  },
  async tools(asked) {
    const calls = [];
    const weather = tool({
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async (input) => {
        calls.push(["get_weather", input]);
        return "sunny";
      },
    });
    const stopWhen = (isStepCount ?? stepCountIs)(5);
    const wanted = { ...asking(asked), tools: { get_weather: weather }, stopWhen };
    const { text } = asked.stream ? streamText(wanted) : await generateText(wanted);
    return { text: await text, calls };
  },
  async json(asked) {
    const { output } = await generateText({ ...asking(asked), output: Output.object({ schema: Number_ }) });
    return { data: output };
  },
});
