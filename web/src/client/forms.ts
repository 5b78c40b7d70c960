/**
 * The forms of the relay's requests and answers, from its own description: types of both when compiling, checks of answers
 * when running.
 *
 * `npm run openapi` makes both files anew, with the answers this client asks for; a test compares them with what the relay
 * says. Spec: API-001, CLT-025.
 */

import FORMS from "./openapi.json" with { type: "json" };
import type { components } from "./openapi.d.ts";

export type Api = components["schemas"];
/** Of an answer. */
export type Kind = keyof Api & keyof typeof FORMS;

/** The part of JSON Schema that the description uses. Its objects are closed, as `protocol/api.py` reads them. */
interface Form {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Form>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Form;
  readonly items?: Form;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

const patterns = new Map<string, RegExp>();

function pattern(source: string): RegExp {
  const found = patterns.get(source) ?? new RegExp(source);
  patterns.set(source, found);
  return found;
}

function fitsText(form: Form, value: unknown): boolean {
  if (typeof value !== "string" || value.length > (form.maxLength ?? Infinity)) return false;
  return form.pattern === undefined || pattern(form.pattern).test(value);
}

function fitsNumber(form: Form, value: unknown): boolean {
  if (typeof value !== "number" || (form.type === "integer" && !Number.isSafeInteger(value))) return false;
  const { minimum = -Infinity, maximum = Infinity, exclusiveMaximum = Infinity } = form;
  return value >= minimum && value <= maximum && value < exclusiveMaximum;
}

function fitsList(form: Form, value: unknown): boolean {
  if (!Array.isArray(value) || value.length < (form.minItems ?? 0) || value.length > (form.maxItems ?? Infinity)) return false;
  return value.every((one) => fits(form.items ?? {}, one));
}

function fitsObject(form: Form, value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { properties = {}, required = [], additionalProperties: others } = form;
  if (!required.every((name) => Object.hasOwn(value, name))) return false;
  return Object.entries(value).every(([name, one]) => {
    if (Object.hasOwn(properties, name)) return fits(properties[name]!, one);
    return others !== undefined && fits(others, one);
  });
}

function fits(form: Form, value: unknown): boolean {
  if (form.$ref !== undefined) return fits(FORM[form.$ref.replace("#/components/schemas/", "")]!, value);
  switch (form.type) {
    case "string": return fitsText(form, value);
    case "integer":
    case "number": return fitsNumber(form, value);
    case "boolean": return typeof value === "boolean";
    case "array": return fitsList(form, value);
    case "object": return fitsObject(form, value);
    default: return true;
  }
}

const FORM: Readonly<Record<string, Form>> = FORMS;

/** Whether a value has the form of this name, all of it. */
export function isKind<K extends Kind>(kind: K, value: unknown): value is Api[K] {
  return fits(FORM[kind]!, value);
}
