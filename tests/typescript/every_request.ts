// Every request of the API with openapi-fetch and the types that openapi-typescript generates from the OpenAPI document.
// `make clients-check` generates schema.d.ts beside this file and compiles both; nothing is sent.

import createClient from "openapi-fetch";
import type { components, paths, webhooks } from "./schema.js";

type Execution = components["schemas"]["Execution"];
type Event =
  | webhooks["execution"]["post"]["requestBody"]["content"]["application/json"]
  | webhooks["batch"]["post"]["requestBody"]["content"]["application/json"];

const api = createClient<paths>({
  baseUrl: "http://127.0.0.1:3000",
  headers: { Authorization: "Bearer local-dev-key" },
});

/** A form with a file: generated types have no Blob, so the serializer adds it. */
function formWith(file: Blob) {
  return (fields: Record<string, unknown>): FormData => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, name === "file" ? file : String(value));
    return form;
  };
}

/** The data of an answer; throws the error's message otherwise. */
function data<T>(answer: { data?: T; error?: { message: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.message ?? "no answer");
  return answer.data;
}

export async function agents(): Promise<string> {
  const body = {
    agent_config: {
      agent_name: "Reminders",
      from_phone_numbers: ["+12025550100"],
      answer_url: "https://voice.example.com/calls?execution={execution_id}",
      calling_guardrails: { call_start_hour: 9, call_end_hour: 17 },
    },
  };
  const agent_id = data(await api.POST("/v2/agent", { body })).agent_id;
  const params = { path: { agent_id } };
  const all = data(await api.GET("/v2/agent/all", {})).map((agent) => agent.agent_name);
  data(await api.PUT("/v2/agent/{agent_id}", { params, body }));
  data(await api.PATCH("/v2/agent/{agent_id}", { params, body: { agent_config: { max_concurrent_calls: 3 } } }));
  const limit: number | null | undefined = data(await api.GET("/v2/agent/{agent_id}", { params })).agent_config.max_concurrent_calls;
  console.log(all, limit, data(await api.GET("/user/me", {})).concurrency.max);
  console.log(data(await api.PATCH("/user/me", { body: { from_phone_numbers: ["+12025550100"] } })).defaults);
  const key = data(await api.POST("/keys", { body: { name: "dashboard", scopes: ["read"], quotas: { calls_a_day: 5 } } }));
  console.log(key.api_key, data(await api.GET("/keys", {})).map((one) => one.last_used_at));
  console.log(data(await api.DELETE("/keys/{key_id}", { params: { path: { key_id: key.id } } })).state);
  const since = { query: { from: "2026-01-01T00:00:00Z" } };
  console.log(data(await api.GET("/audit", { params: since })).map((one) => one.changes.map((change) => change.after)));
  console.log(data(await api.GET("/audit.csv", { params: since, parseAs: "text" })));
  console.log(data(await api.GET("/phone-numbers/all", {})).map((number) => number.phone_number));
  const period = { query: { from: "2026-01-01", to: "2026-01-31" } };
  const retries = data(await api.GET("/stats/retries", { params: period }));
  console.log(retries.reach.map((one) => one.rate), retries.by_gap[0]?.from_minutes, retries.advice);
  console.log(data(await api.POST("/webhooks/test", { body: { agent_id } })).status_code);
  for (const check of data(await api.GET("/doctor", {})).checks) console.log(check.check, check.status, check.advice);
  const now = data(await api.GET("/now", {}));
  console.log(now.lines.current, now.due.calls.length, now.carriers[0]?.state, now.undelivered);
  for (const item of data(await api.GET("/attention", {})).data) {
    console.log(data(await api.POST("/attention/{item_id}/resolve", { params: { path: { item_id: item.id } } })).state);
  }
  return agent_id;
}

export async function calls(agent_id: string): Promise<void> {
  const made = await api.POST("/call", {
    params: { header: { "idempotency-key": "order-4711" } },
    body: {
      agent_id,
      recipient_phone_number: "+12025550123",
      user_data: { name: "Ann" },
      scheduled_at: "2026-01-26T10:00:00Z",
      bypass_call_guardrails: false,
      retry_config: {
        enabled: true,
        max_retries: 3,
        retry_on_statuses: ["no-answer", "busy"],
        retry_on_voicemail: false,
        retry_intervals_minutes: [30, 60, 120],
      },
    },
  });
  const execution_id = data(made).execution_id;
  data(await api.POST("/call", { body: { agent_id, recipient_phone_number: "+12025550124" } }));
  const planned = data(await api.POST("/call/plan", { body: { agent_id, recipient_phone_number: "+12025550124" } }));
  for (const attempt of planned.attempts) console.log(attempt.earliest_at, attempt.local_times["America/New_York"]);
  const one = { params: { path: { execution_id } } };
  const explained = data(await api.GET("/executions/{execution_id}/explain", one));
  console.log(explained.summary, explained.waits_for?.to_change, explained.plan?.worst_case_calls);
  const called = { path: { phone_number: "+12025550124" }, query: { agent_id } };
  console.log(data(await api.GET("/numbers/{phone_number}", { params: called })).now.gates[0]?.text);
  const execution: Execution = data(await api.GET("/executions/{execution_id}", one));
  const next: string | undefined = execution.next_attempt?.at;
  console.log(execution.status, next, execution.telephony_data.hangup_reason, execution.attempts[0]?.ended_at);
  for (const entry of data(await api.GET("/executions/{execution_id}/log", one)).data) console.log(entry.component);
  const query = { page_number: 1, page_size: 50, status: "no-answer", from: "2026-01-26T10:00:00Z" } as const;
  const page = data(await api.GET("/v2/agent/{agent_id}/executions", { params: { path: { agent_id }, query } }));
  console.log(page.total, page.has_more, page.data.length);
  console.log(data(await api.GET("/agent/{agent_id}/executions", { params: { path: { agent_id } } })).length);
  const path = { agent_id, execution_id: execution.id };
  console.log(data(await api.GET("/agent/{agent_id}/execution/{execution_id}", { params: { path } })).status);
  data(await api.POST("/call/{execution_id}/stop", one));
  console.log(data(await api.POST("/v2/agent/{agent_id}/stop", { params: { path: { agent_id } } })).stopped_executions);
  console.log(data(await api.POST("/executions/{execution_id}/webhooks/replay", one)).replayed);
  console.log(data(await api.GET("/webhooks/undelivered", {})).data);
  console.log(data(await api.DELETE("/executions/{execution_id}", one)).state);
  const contact = { params: { path: { phone_number: "+12025550123" } } };
  console.log(data(await api.DELETE("/contacts/{phone_number}", contact)).erased.executions);
  data(await api.DELETE("/v2/agent/{agent_id}", { params: { path: { agent_id } } }));
}

export async function rules(execution_id: string): Promise<void> {
  const of_call = { params: { path: { execution_id } }, body: { reason: "asked the agent to stop" } };
  console.log(data(await api.POST("/executions/{execution_id}/suppress", of_call)).suppressions.length);
  const phone_number = "+12025550123";
  const added = data(await api.POST("/suppressions", { body: { phone_number, reason: "opted out" } }));
  console.log(added.suppressions[0]?.id, added.canceled_executions.length, added.complete);
  const params = { query: { phone_number } };
  console.log(data(await api.GET("/suppressions", { params })).map((one) => one.last_four));
  console.log(data(await api.DELETE("/suppressions", { params })).deleted);
  const given = { phone_number, given_at: "2026-01-26T10:00:00Z", purpose: "marketing" };
  console.log(data(await api.POST("/consents", { body: given })).consents[0]?.given_at);
  console.log(data(await api.GET("/consents", { params })).map((one) => one.proof));
  console.log(data(await api.DELETE("/consents", { params })).canceled_executions);
}

export async function policies(): Promise<void> {
  const path = { name: "lead-outreach" };
  const body = { preset: "us-federal", expires_after_minutes: 2880 };
  console.log(data(await api.PUT("/policies/{name}", { params: { path }, body })).policy);
  console.log(data(await api.GET("/policies/{name}", { params: { path, query: { version: 1 } } })).purpose);
  console.log(data(await api.GET("/policies")).map((one) => one.version));
  console.log(data(await api.GET("/policies/presets")).map((one) => one.review_by));
}

export async function batches(agent_id: string, file: Blob): Promise<void> {
  const made = await api.POST("/batches", {
    body: { agent_id, file: "contacts.csv", retry_config: '{"enabled": true}', from_phone_numbers: ["+12025550100"] },
    bodySerializer: formWith(file),
  });
  const batch_id = data(made).batch_id;
  const one = { params: { path: { batch_id } } };
  const upload = data(await api.POST("/batches/uploads", { body: { file_name: "contacts.csv", size: file.size } }));
  await fetch(upload.url, { method: upload.method, body: file });
  data(await api.POST("/batches", { body: { agent_id, upload_id: upload.upload_id, start: "now" } }));
  const preflight = data(await api.POST("/batches/{batch_id}/preflight", { ...one, body: { call_seconds: 90 } }));
  console.log("state" in preflight ? preflight.rows_read : preflight.finish.latest);
  data(await api.POST("/batches/{batch_id}/schedule", { ...one, body: { scheduled_at: "2026-01-26T10:00:00Z" } }));
  data(await api.POST("/batches/{batch_id}/pause", one));
  data(await api.POST("/batches/{batch_id}/resume", one));
  data(await api.POST("/batches/{batch_id}/stop", one));
  const counts = data(await api.GET("/batches/{batch_id}", one)).execution_status;
  console.log(Object.entries(counts), data(await api.GET("/batches/{batch_id}/executions", one)).length);
  console.log(data(await api.GET("/batches/{agent_id}/all", { params: { path: { agent_id } } })).length);
  for (const path of ["/batches/{batch_id}/results.csv", "/batches/{batch_id}/rejected.csv"] as const) {
    console.log(data(await api.GET(path, { ...one, parseAs: "text" })));
  }
  console.log(data(await api.POST("/batches/{batch_id}/webhooks/replay", one)).replayed);
  data(await api.DELETE("/batches/{batch_id}", one));
}

export async function service(): Promise<void> {
  console.log(data(await api.GET("/health", {})).status, data(await api.GET("/", {})).version);
  console.log(data(await api.GET("/openapi.json", {})));
  console.log(data(await api.GET("/docs", { parseAs: "text" })).length, (await api.GET("/favicon.ico", {})).response.status);
  console.log(data(await api.GET("/llms.txt", { parseAs: "text" })).length);
}

/** What a receiver of webhooks does with an event's body. */
export function received(event: Event): string {
  return "batch_id" in event && "valid_contacts" in event
    ? `${event.type} ${event.valid_contacts}`
    : `${event.type} ${event.id} ${event.sequence} ${event.retry_count}`;
}
