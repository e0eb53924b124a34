// How a test asks a client of Node: a line of JSON in, `{"do": …, "url": …, "key": …, "model": …}`, and a line of JSON out.
// What a client throws is told by its class, its status and its words; `told` keeps what a stream had said before.
import { createInterface } from "node:readline";
import { z } from "zod";

export const HI = "hi";
export const Number_ = z.object({ n: z.number().int() });
export const SCHEMA = {
  type: "object",
  properties: { n: { type: "integer" } },
  required: ["n"],
  additionalProperties: false,
};
export const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
export const WEATHER = { name: "get_weather", description: "The weather of a city", parameters: CITY };
export const FUNCTION = { type: "function", function: WEATHER };

const named = (error) => ({
  name: error.name === "Error" ? error.constructor.name : error.name,
  class: error.constructor.name,
  status: error.status ?? error.statusCode ?? null,
  message: String(error.message),
});

export async function answer(operations) {
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    const told = { text: "" };
    try {
      Object.assign(told, await operations[asked.do](asked, told));
    } catch (error) {
      told.error = named(error);
    }
    process.stdout.write(JSON.stringify(told) + "\n");
  }
}
