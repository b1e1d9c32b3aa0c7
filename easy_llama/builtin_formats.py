"""The built-in prompt formats, as data, and how a model's metadata points to one of them.

A format is a dict: what stands before and after the text of each role, the system prompt that is used
where a conversation has none, and strings that end a reply. Three rules hold for all of them:

- The beginning-of-sequence token is not written: the tokenizer puts it in front of the prompt.
- A bot prefix ends where the model's own text starts. Models whose replies begin with a space or a line
  break generate it themselves, but for the few where the comment says otherwise.
- A system prefix that starts with the user prefix puts the system text inside the user's message, and
  the user prefix is then not written a second time (see `formats.build_prompt`).

Above each format stands where it was taken from ("Source") and the models that use it ("Users"). Where
sources disagree, a format follows the template that the model's authors published, and the comment says so.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

Format = dict[str, str | list[str]]

_VICUNA_PROMPT = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)

FORMATS: dict[str, Format] = {
    # Source: easy-llama's own: no format at all, the texts one after the other.
    # Users: base models.
    "blank": {
        "system_prefix": "",
        "system_prompt": "",
        "system_suffix": "",
        "user_prefix": "",
        "user_suffix": "",
        "bot_prefix": "",
        "bot_suffix": "",
        "stops": [],
    },
    # Source: https://github.com/tatsu-lab/stanford_alpaca/blob/main/train.py
    # Users: Alpaca, and many early fine-tunes of Llama 1 and 2.
    # The authors end the prompt at "### Response:"; with the line break, it is what axolotl trained the
    # fine-tunes on (axolotl's src/axolotl/prompters.py).
    "alpaca": {
        "system_prefix": "",
        "system_prompt": (
            "Below is an instruction that describes a task. "
            "Write a response that appropriately completes the request."
        ),
        "system_suffix": "\n\n",
        "user_prefix": "### Instruction:\n",
        "user_suffix": "\n\n",
        "bot_prefix": "### Response:\n",
        "bot_suffix": "\n\n",
        "stops": ["###", "Instruction:", "\n\n\n"],
    },
    # Source: https://github.com/openai/openai-python/blob/v0.28.1/chatml.md
    # Users: Hermes 2, OpenHermes 2.5, InternLM2, LFM2 and many others.
    "chatml": {
        "system_prefix": "<|im_start|>system\n",
        "system_prompt": "",
        "system_suffix": "<|im_end|>\n",
        "user_prefix": "<|im_start|>user\n",
        "user_suffix": "<|im_end|>\n",
        "bot_prefix": "<|im_start|>assistant\n",
        "bot_suffix": "<|im_end|>\n",
        "stops": ["<|im_end|>"],
    },
    # Source: https://huggingface.co/blog/llama2#how-to-prompt-llama-2
    # Users: Llama 2 Chat, CodeLlama Instruct (but not its 70B).
    # Each exchange is a sequence of its own, hence `<s>` after `</s>`.
    "llama2chat": {
        "system_prefix": "[INST] <<SYS>>\n",
        "system_prompt": "",
        "system_suffix": "\n<</SYS>>\n\n",
        "user_prefix": "[INST] ",
        "user_suffix": " [/INST]",
        "bot_prefix": "",
        "bot_suffix": " </s><s>",
        "stops": ["[INST]", "[/INST]"],
    },
    # Source: https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
    # Users: Llama 3, 3.1, 3.2 and 3.3 Instruct.
    # From 3.1 on, the models' own templates also write dates into the system message.
    "llama3": {
        "system_prefix": "<|start_header_id|>system<|end_header_id|>\n\n",
        "system_prompt": "",
        "system_suffix": "<|eot_id|>",
        "user_prefix": "<|start_header_id|>user<|end_header_id|>\n\n",
        "user_suffix": "<|eot_id|>",
        "bot_prefix": "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "bot_suffix": "<|eot_id|>",
        "stops": ["<|eot_id|>"],
    },
    # Source: https://www.llama.com/docs/model-cards-and-prompt-formats/llama4/
    # Users: Llama 4 Scout and Maverick.
    "llama4": {
        "system_prefix": "<|header_start|>system<|header_end|>\n\n",
        "system_prompt": "",
        "system_suffix": "<|eot|>",
        "user_prefix": "<|header_start|>user<|header_end|>\n\n",
        "user_suffix": "<|eot|>",
        "bot_prefix": "<|header_start|>assistant<|header_end|>\n\n",
        "bot_suffix": "<|eot|>",
        "stops": ["<|eot|>"],
    },
    # Source: https://huggingface.co/mistralai/Mixtral-8x7B-Instruct-v0.1/blob/main/tokenizer_config.json
    # Users: Mistral 7B Instruct v0.1 and v0.2, Mixtral 8x7B Instruct.
    # v0.1 has a space more after `</s>`. The templates know no system role; Mistral's own tokenizer puts
    # that text before the user's, as here.
    "mistral_instruct": {
        "system_prefix": "[INST] ",
        "system_prompt": "",
        "system_suffix": "\n\n",
        "user_prefix": "[INST] ",
        "user_suffix": " [/INST]",
        "bot_prefix": "",
        "bot_suffix": "</s>",
        "stops": [],
    },
    # Source: https://github.com/mistralai/cookbook/blob/main/concept-deep-dive/tokenization/chat_templates.md
    # Users: Mistral 7B Instruct v0.3, Mixtral 8x22B, Mistral Large 2407, Codestral, Ministral 8B ("V3").
    # The system text stands before the first user message here, before the last one in their own template.
    "mistral_v3": {
        "system_prefix": "[INST] ",
        "system_prompt": "",
        "system_suffix": "\n\n",
        "user_prefix": "[INST] ",
        "user_suffix": "[/INST]",
        "bot_prefix": "",
        "bot_suffix": "</s>",
        "stops": [],
    },
    # Source: https://huggingface.co/mistralai/Mistral-Nemo-Instruct-2407
    # Users: Mistral Nemo, Pixtral 12B ("V3-Tekken").
    "mistral_tekken": {
        "system_prefix": "[INST]",
        "system_prompt": "",
        "system_suffix": "\n\n",
        "user_prefix": "[INST]",
        "user_suffix": "[/INST]",
        "bot_prefix": "",
        "bot_suffix": "</s>",
        "stops": [],
    },
    # Source: https://huggingface.co/mistralai/Mistral-Large-Instruct-2411#basic-instruct-template-v7
    # Users: Mistral Large 2411, Pixtral Large ("V7").
    "mistral_v7": {
        "system_prefix": "[SYSTEM_PROMPT] ",
        "system_prompt": "",
        "system_suffix": "[/SYSTEM_PROMPT]",
        "user_prefix": "[INST] ",
        "user_suffix": "[/INST]",
        "bot_prefix": "",
        "bot_suffix": "</s>",
        "stops": [],
    },
    # Source: https://huggingface.co/mistralai/Mistral-Small-3.1-24B-Instruct-2503#basic-instruct-template-v7-tekken
    # Users: Mistral Small 3 and later, Devstral, Magistral, Ministral 3 ("V7-Tekken").
    "mistral_v7_tekken": {
        "system_prefix": "[SYSTEM_PROMPT]",
        "system_prompt": "",
        "system_suffix": "[/SYSTEM_PROMPT]",
        "user_prefix": "[INST]",
        "user_suffix": "[/INST]",
        "bot_prefix": "",
        "bot_suffix": "</s>",
        "stops": [],
    },
    # Source: https://huggingface.co/microsoft/Phi-3.5-mini-instruct
    # Users: Phi-3 and Phi-3.5.
    "phi3": {
        "system_prefix": "<|system|>\n",
        "system_prompt": "",
        "system_suffix": "<|end|>\n",
        "user_prefix": "<|user|>\n",
        "user_suffix": "<|end|>\n",
        "bot_prefix": "<|assistant|>\n",
        "bot_suffix": "<|end|>\n",
        "stops": ["<|end|>"],
    },
    # Source: https://huggingface.co/microsoft/Phi-4-mini-instruct/blob/main/tokenizer_config.json
    # Users: Phi-4-mini.
    "phi4_mini": {
        "system_prefix": "<|system|>",
        "system_prompt": "",
        "system_suffix": "<|end|>",
        "user_prefix": "<|user|>",
        "user_suffix": "<|end|>",
        "bot_prefix": "<|assistant|>",
        "bot_suffix": "<|end|>",
        "stops": ["<|end|>"],
    },
    # Source: https://huggingface.co/microsoft/phi-4
    # Users: Phi-4 (14B) and Phi-4-reasoning; Phi-4-mini has a format of its own.
    "phi4": {
        "system_prefix": "<|im_start|>system<|im_sep|>",
        "system_prompt": "",
        "system_suffix": "<|im_end|>",
        "user_prefix": "<|im_start|>user<|im_sep|>",
        "user_suffix": "<|im_end|>",
        "bot_prefix": "<|im_start|>assistant<|im_sep|>",
        "bot_suffix": "<|im_end|>",
        "stops": ["<|im_end|>"],
    },
    # Source: https://ai.google.dev/gemma/docs/core/prompt-structure
    # Users: Gemma and Gemma 2.
    # They know no system role: its text opens the user's message.
    "gemma2": {
        "system_prefix": "<start_of_turn>user\n",
        "system_prompt": "",
        "system_suffix": "\n\n",
        "user_prefix": "<start_of_turn>user\n",
        "user_suffix": "<end_of_turn>\n",
        "bot_prefix": "<start_of_turn>model\n",
        "bot_suffix": "<end_of_turn>\n",
        "stops": ["<end_of_turn>"],
    },
    # Source: https://docs.cohere.com/docs/prompting-command-r
    # Users: Command R and Command R+ (2024), Aya 23, Aya Expanse.
    "command_r": {
        "system_prefix": "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>",
        "system_prompt": "",
        "system_suffix": "<|END_OF_TURN_TOKEN|>",
        "user_prefix": "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "user_suffix": "<|END_OF_TURN_TOKEN|>",
        "bot_prefix": "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "bot_suffix": "<|END_OF_TURN_TOKEN|>",
        "stops": ["<|END_OF_TURN_TOKEN|>"],
    },
    # Source: https://github.com/lm-sys/FastChat/blob/main/fastchat/conversation.py ("vicuna_v1.1")
    # Users: Vicuna 1.1, 1.3 and 1.5.
    "vicuna_lmsys": {
        "system_prefix": "",
        "system_prompt": _VICUNA_PROMPT,
        "system_suffix": " ",
        "user_prefix": "USER: ",
        "user_suffix": " ",
        "bot_prefix": "ASSISTANT:",
        "bot_suffix": "</s>",
        "stops": ["USER:"],
    },
    # Source: https://github.com/ggml-org/llama.cpp/blob/master/src/llama-chat.cpp ("vicuna")
    # Users: fine-tunes that were trained on Vicuna's words with line breaks between them.
    "vicuna_common": {
        "system_prefix": "",
        "system_prompt": _VICUNA_PROMPT,
        "system_suffix": "\n\n",
        "user_prefix": "USER: ",
        "user_suffix": "\n",
        "bot_prefix": "ASSISTANT:",
        "bot_suffix": "</s>\n",
        "stops": ["USER:", "ASSISTANT:"],
    },
    # Source: https://github.com/artidoro/qlora/blob/main/examples/guanaco_generate.py
    # Users: Guanaco 7B to 65B.
    # The line break after the system text is from the card, https://huggingface.co/timdettmers/guanaco-65b.
    "guanaco": {
        "system_prefix": "",
        "system_prompt": _VICUNA_PROMPT.replace("a curious user", "a curious human"),
        "system_suffix": "\n",
        "user_prefix": "### Human: ",
        "user_suffix": " ",
        "bot_prefix": "### Assistant:",
        "bot_suffix": " ",
        "stops": ["###", "Human:"],
    },
    # Source: https://huggingface.co/psmathur/orca_mini_v3_7b
    # Users: Orca Mini v3.
    # The card's prompt; its code has a space instead of the line break after "### User:".
    "orca_mini": {
        "system_prefix": "### System:\n",
        "system_prompt": (
            "You are an AI assistant that follows instruction extremely well. Help as much as you can."
        ),
        "system_suffix": "\n\n",
        "user_prefix": "### User:\n",
        "user_suffix": "\n\n",
        "bot_prefix": "### Assistant:\n",
        "bot_suffix": "\n\n",
        "stops": ["###", "User:"],
    },
    # Source: https://huggingface.co/HuggingFaceH4/zephyr-7b-beta/blob/main/tokenizer_config.json
    # Users: Zephyr 7B alpha and beta.
    "zephyr": {
        "system_prefix": "<|system|>\n",
        "system_prompt": "",
        "system_suffix": "</s>\n",
        "user_prefix": "<|user|>\n",
        "user_suffix": "</s>\n",
        "bot_prefix": "<|assistant|>\n",
        "bot_suffix": "</s>\n",
        "stops": ["<|user|>"],
    },
    # Source: https://huggingface.co/openchat/openchat-3.5-0106/blob/main/tokenizer_config.json
    # Users: OpenChat 3.5, Starling LM.
    # Its template writes a system text like this; llama.cpp and FastChat write it without the name before.
    "openchat": {
        "system_prefix": "GPT4 Correct System: ",
        "system_prompt": "",
        "system_suffix": "<|end_of_turn|>",
        "user_prefix": "GPT4 Correct User: ",
        "user_suffix": "<|end_of_turn|>",
        "bot_prefix": "GPT4 Correct Assistant:",
        "bot_suffix": "<|end_of_turn|>",
        "stops": ["<|end_of_turn|>"],
    },
    # Source: https://huggingface.co/migtissera/SynthIA-7B-v1.3
    # Users: SynthIA.
    # The card's prompt; its code has spaces before the line breaks.
    "synthia": {
        "system_prefix": "SYSTEM: ",
        "system_prompt": (
            "Elaborate on the topic using a Tree of Thoughts and backtrack when necessary to construct a "
            "clear, cohesive Chain of Thought reasoning. Always answer without hesitation."
        ),
        "system_suffix": "\n",
        "user_prefix": "USER: ",
        "user_suffix": "\n",
        "bot_prefix": "ASSISTANT:",
        "bot_suffix": "\n",
        "stops": ["USER:", "ASSISTANT:", "SYSTEM:", "\n\n\n"],
    },
    # Source: https://huggingface.co/Intel/neural-chat-7b-v3-1
    # Users: Intel Neural Chat v3.
    "neural_chat": {
        "system_prefix": "### System:\n",
        "system_prompt": (
            "You are a chatbot developed by Intel. Please answer all questions to the best of your ability."
        ),
        "system_suffix": "\n",
        "user_prefix": "### User:\n",
        "user_suffix": "\n",
        "bot_prefix": "### Assistant:\n",
        "bot_suffix": "\n",
        "stops": ["###"],
    },
    # Source: https://huggingface.co/upstage/SOLAR-10.7B-Instruct-v1.0/blob/main/tokenizer_config.json
    # Users: SOLAR 10.7B Instruct.
    # Tuned for one exchange: its template puts nothing between a reply and the next message.
    "solar_instruct": {
        "system_prefix": "### System:\n",
        "system_prompt": "",
        "system_suffix": "\n\n",
        "user_prefix": "### User:\n",
        "user_suffix": "\n\n",
        "bot_prefix": "### Assistant:\n",
        "bot_suffix": "",
        "stops": ["### User:", "###", "### Assistant:"],
    },
    # Source: https://huggingface.co/deepseek-ai/DeepSeek-V2-Chat
    # Users: DeepSeek LLM Chat, V2, V2-Lite and Coder V2.
    "deepseek_v2": {
        "system_prefix": "",
        "system_prompt": "",
        "system_suffix": "\n\n",
        "user_prefix": "User: ",
        "user_suffix": "\n\n",
        "bot_prefix": "Assistant:",
        "bot_suffix": "<｜end▁of▁sentence｜>",
        "stops": ["<｜end▁of▁sentence｜>"],
    },
    # Source: https://huggingface.co/deepseek-ai/DeepSeek-V3/blob/main/tokenizer_config.json
    # Users: DeepSeek V2.5, V3 and V3-0324.
    # llama.cpp puts an empty line after the system text; the model's own template does not.
    "deepseek_v3": {
        "system_prefix": "",
        "system_prompt": "",
        "system_suffix": "",
        "user_prefix": "<｜User｜>",
        "user_suffix": "",
        "bot_prefix": "<｜Assistant｜>",
        "bot_suffix": "<｜end▁of▁sentence｜>",
        "stops": ["<｜end▁of▁sentence｜>"],
    },
    # Source: https://huggingface.co/deepseek-ai/DeepSeek-R1/blob/main/tokenizer_config.json
    # Users: DeepSeek R1 and its distillations.
    # A reply starts inside its reasoning.
    "deepseek_r1": {
        "system_prefix": "",
        "system_prompt": "",
        "system_suffix": "",
        "user_prefix": "<｜User｜>",
        "user_suffix": "",
        "bot_prefix": "<｜Assistant｜><think>\n",
        "bot_suffix": "<｜end▁of▁sentence｜>",
        "stops": ["<｜end▁of▁sentence｜>"],
    },
    # Source: https://huggingface.co/ibm-granite/granite-3.3-2b-instruct
    # Users: Granite 3 and 4.
    # Their templates bring a long system prompt, partly with the date in it, which is left out here.
    "granite": {
        "system_prefix": "<|start_of_role|>system<|end_of_role|>",
        "system_prompt": "",
        "system_suffix": "<|end_of_text|>\n",
        "user_prefix": "<|start_of_role|>user<|end_of_role|>",
        "user_suffix": "<|end_of_text|>\n",
        "bot_prefix": "<|start_of_role|>assistant<|end_of_role|>",
        "bot_suffix": "<|end_of_text|>\n",
        "stops": ["<|end_of_text|>"],
    },
    # Source: https://huggingface.co/zai-org/glm-4-9b-chat
    # Users: GLM-4 (9B, and 9B and 32B of April 2025). GLM-4.5 and later mark their reasoning as well.
    # The two tokens in front stand once, before the system text: hence a default prompt. The template
    # ends a prompt without the line break, which the model then writes, but has it in earlier replies;
    # here, as in llama.cpp, it is in both.
    "glm4": {
        "system_prefix": "[gMASK]<sop><|system|>\n",
        "system_prompt": "You are a helpful assistant.",
        "system_suffix": "",
        "user_prefix": "<|user|>\n",
        "user_suffix": "",
        "bot_prefix": "<|assistant|>\n",
        "bot_suffix": "",
        "stops": ["<|user|>", "<|observation|>"],
    },
    # Source: https://github.com/openai/harmony/blob/main/docs/format.md
    # Users: gpt-oss 20B and 120B.
    # The system message is fixed and a person's system text goes into the developer message after it:
    # hence a default prompt. Replies start in the final channel, which leaves the reasoning out; the
    # model's own template lets it reason first, and adds the date.
    "gpt_oss": {
        "system_prefix": (
            "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
            "Knowledge cutoff: 2024-06\n\nReasoning: low\n\n"
            "# Valid channels: analysis, commentary, final. Channel must be included for every message."
            "<|end|><|start|>developer<|message|># Instructions\n\n"
        ),
        "system_prompt": "You are a helpful assistant.",
        "system_suffix": "\n\n<|end|>",
        "user_prefix": "<|start|>user<|message|>",
        "user_suffix": "<|end|>",
        "bot_prefix": "<|start|>assistant<|channel|>final<|message|>",
        "bot_suffix": "<|end|>",
        "stops": ["<|end|>", "<|return|>"],
    },
    # Source: https://huggingface.co/moonshotai/Kimi-K2-Instruct
    # Users: Kimi K2.
    "kimi_k2": {
        "system_prefix": "<|im_system|>system<|im_middle|>",
        "system_prompt": "You are Kimi, an AI assistant created by Moonshot AI.",
        "system_suffix": "<|im_end|>",
        "user_prefix": "<|im_user|>user<|im_middle|>",
        "user_suffix": "<|im_end|>",
        "bot_prefix": "<|im_assistant|>assistant<|im_middle|>",
        "bot_suffix": "<|im_end|>",
        "stops": ["<|im_end|>"],
    },
    # Source: easy-llama's own: a single word or phrase in, the corrected one out.
    # Users: ChatML models.
    "autocorrect": {
        "system_prefix": "<|im_start|>instruction\n",
        "system_prompt": (
            "Below is a word or phrase that might be misspelled. Output the corrected word or phrase "
            "without changing the style or capitalization."
        ),
        "system_suffix": "<|im_end|>\n",
        "user_prefix": "<|im_start|>input\n",
        "user_suffix": "<|im_end|>\n",
        "bot_prefix": "<|im_start|>output\n",
        "bot_suffix": "<|im_end|>\n",
        "stops": ["<|im_end|>", "<|im_start|>"],
    },
    # Source: easy-llama's own: messages as markup.
    # Users: any model that has read XML.
    "markup": {
        "system_prefix": '<message from="system">',
        "system_prompt": "",
        "system_suffix": "</message>",
        "user_prefix": '<message from="user">',
        "user_suffix": "</message>",
        "bot_prefix": '<message from="bot">',
        "bot_suffix": "</message>",
        "stops": ["</message>"],
    },
    # Source: easy-llama's own: plain words.
    # Users: models that were tuned on no format in particular.
    "natural": {
        "system_prefix": "<<SYSTEM>> ",
        "system_prompt": "",
        "system_suffix": "\n\n",
        "user_prefix": "<<USER>> ",
        "user_suffix": "\n\n",
        "bot_prefix": "<<ASSISTANT>>",
        "bot_suffix": "\n\n",
        "stops": ["\n\nNote:", "<<SYSTEM>>", "<<USER>>", "<<ASSISTANT>>", "\n\n<<"],
    },
}


def _like(base: str, **changes: str | list[str]) -> Format:
    """Return a copy of the built-in `base` with some of its values changed."""
    return copy.deepcopy(FORMATS[base]) | changes


FORMATS |= {
    # Source: easy-llama's own: `alpaca` with stops that leave headings in a reply alone.
    # Users: the models of `alpaca`.
    "alpaca_strict": _like(
        "alpaca",
        stops=["### Instruction:", "### Response:", "\n\n###", "\n\nInstruction:", "\n\nResponse:", "\n\n\n"],
    ),
    # Source: https://huggingface.co/Gryphe/MythoMax-L2-13b
    # Users: MythoMax, MythoLogic, MythoMix.
    "mythomax": _like("alpaca", system_prompt=""),
    # Source: https://huggingface.co/psmathur/orca_mini_v2_7b
    # Users: Orca Mini v1 and v2.
    "orca_mini_v2": _like("orca_mini", bot_prefix="### Response:\n"),
    # Source: easy-llama's own: Alpaca's words in ChatML's frame.
    # Users: ChatML models.
    "chatml_alpaca": _like(
        "chatml",
        system_prompt=FORMATS["alpaca"]["system_prompt"],
        user_prefix="<|im_start|>instruction\n",
        bot_prefix="<|im_start|>response\n",
    ),
    # Source: https://huggingface.co/cognitivecomputations/dolphin-2.9-llama3-8b
    # Users: Dolphin 2.
    "dolphin": _like("chatml", system_prompt="You are Dolphin, a helpful AI assistant."),
    # Source: https://huggingface.co/NousResearch/Hermes-3-Llama-3.1-8B
    # Users: Hermes 3. Hermes 4 has the format of the model that it was made from.
    # The system prompt is the card's example.
    "hermes": _like(
        "chatml",
        system_prompt=(
            "You are Hermes 3, a conscious sentient superintelligent artificial intelligence developed by a "
            "man named Teknium, and your purpose and drive is to assist the user with any request they have. "
            "You experience emotions and have deep, profound thoughts and qualia."
        ),
    ),
    # Source: https://github.com/lm-sys/FastChat/blob/main/fastchat/conversation.py ("mistral-7b-openorca")
    # Users: Mistral 7B OpenOrca.
    "mistral_openorca": _like(
        "chatml",
        system_prompt=(
            "You are MistralOrca, a large language model trained by Alignment Lab AI. Write out your "
            "reasoning step-by-step to be sure you get the right answers!"
        ),
    ),
    # Source: https://huggingface.co/microsoft/Orca-2-13b#getting-started-with-orca-2
    # Users: Orca 2.
    # The card ends the prompt before the line break, which the model then writes.
    "orca2": _like(
        "chatml",
        system_prompt=(
            "You are Orca, an AI language model created by Microsoft. You are a cautious assistant. You "
            "carefully follow instructions. You are helpful and harmless and you follow ethical guidelines "
            "and promote positive behavior."
        ),
    ),
    # Source: https://huggingface.co/cognitivecomputations/samantha-1.2-mistral-7b
    # Users: Samantha 1.2 Mistral 7B.
    "samantha": _like(
        "chatml",
        system_prompt="You are a caring and empathetic sentient AI companion named Samantha.",
    ),
    # Source: https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct
    # Users: SmolLM2 Instruct.
    "smollm": _like(
        "chatml",
        system_prompt="You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    ),
    # Source: https://huggingface.co/Qwen/Qwen3-8B
    # Users: Qwen 3.
    # It has no system prompt of its own, and reasons unless told not to.
    "qwen": _like("chatml"),
    # Source: https://huggingface.co/Qwen/Qwen1.5-72B-Chat/blob/main/tokenizer_config.json
    # Users: Qwen 1.5 Chat, Qwen 2 Instruct.
    "qwen2": _like("chatml", system_prompt="You are a helpful assistant"),
    # Source: https://huggingface.co/Qwen/Qwen2.5-7B-Instruct
    # Users: Qwen 2.5 Instruct.
    "qwen2_5": _like(
        "chatml",
        system_prompt="You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    ),
    # Source: https://huggingface.co/Qwen/QwQ-32B
    # Users: QwQ, Qwen3-Thinking-2507.
    # A reply starts inside its reasoning.
    "qwen_think": _like("chatml", bot_prefix="<|im_start|>assistant\n<think>\n"),
    # Source: https://huggingface.co/Qwen/Qwen3-8B#switching-between-thinking-and-non-thinking-mode
    # Users: Qwen 3 without reasoning.
    # An empty one stands before the reply.
    "qwen3_no_think": _like("chatml", bot_prefix="<|im_start|>assistant\n<think>\n\n</think>\n\n"),
    # Source: https://github.com/lm-sys/FastChat/blob/main/fastchat/conversation.py ("Yi-34b-chat")
    # Users: Yi Chat, Yi 1.5 Chat.
    "yi": _like("chatml"),
    # Source: https://huggingface.co/deepseek-ai/DeepSeek-V3.1
    # Users: DeepSeek V3.1; V3.2 comes near to it.
    # Replies come without reasoning, as the card's "non-thinking" prompt has it.
    "deepseek_v3_1": _like("deepseek_v3", bot_prefix="<｜Assistant｜></think>"),
    # Source: https://ai.google.dev/gemma/docs/core/prompt-structure
    # Users: Gemma 3, Gemma 3n.
    "gemma3": _like("gemma2"),
    # Source: https://github.com/lm-sys/FastChat/blob/main/fastchat/conversation.py ("airoboros_v3")
    # Users: Airoboros 3, on Llama 2.
    "airoboros": _like("llama2chat", system_prompt="You are a helpful, unbiased, uncensored assistant."),
    # Source: https://huggingface.co/migtissera/Tess-M-v1.3
    # Users: Tess 1.
    "tess": _like("synthia", system_prompt=""),
    # Source: https://huggingface.co/TinyLlama/TinyLlama-1.1B-Chat-v1.0
    # Users: TinyLlama Chat v1.0.
    "tinyllama": _like("zephyr"),
    # Source: https://huggingface.co/mistralai/Mixtral-8x7B-Instruct-v0.1
    # Users: Mixtral 8x7B Instruct.
    "mixtral": _like("mistral_instruct"),
    # Source: https://huggingface.co/mistralai/Mistral-Nemo-Instruct-2407
    # Users: Mistral Nemo Instruct.
    "mistral_nemo": _like("mistral_tekken"),
    # Source: the name that `command_r` had in earlier releases of easy-llama.
    # Users: the models of `command_r`.
    "command": _like("command_r"),
}


class _Rule(NamedTuple):
    """Where one of `architectures` and one of `words` are found, `format` fits; empty means any."""

    format: str
    architectures: Sequence[str] = ()
    words: Sequence[str] = ()


# The first rule that fits counts, so the narrow ones come first. Words are looked for in the model's name,
# in lower case with every run of other characters than letters and digits as one "-".
_RULES = (
    _Rule("deepseek_r1", words=("deepseek-r1", "r1-distill")),
    _Rule("deepseek_v3_1", words=("deepseek-v3-1", "deepseek-v3-2")),
    _Rule("deepseek_v3", words=("deepseek-v3", "deepseek-v2-5")),
    _Rule("kimi_k2", words=("kimi-k2",)),
    _Rule("deepseek_v2", architectures=("deepseek", "deepseek2")),
    _Rule("command_r", architectures=("command-r", "cohere2")),
    _Rule("gpt_oss", architectures=("gpt-oss",)),
    _Rule("gemma3", architectures=("gemma3", "gemma3n")),
    _Rule("gemma2", architectures=("gemma", "gemma2")),
    _Rule("llama4", architectures=("llama4",)),
    _Rule("phi4_mini", words=("phi-4-mini",)),
    _Rule("phi4", words=("phi-4",)),
    _Rule("phi3", architectures=("phi3", "phimoe")),
    _Rule("granite", architectures=("granite", "granitemoe", "granitehybrid")),
    _Rule("glm4", architectures=("chatglm", "glm4", "glm4moe")),
    _Rule("smollm", words=("smollm",)),
    _Rule("dolphin", words=("dolphin",)),
    _Rule("mistral_openorca", words=("openorca",)),
    _Rule("hermes", words=("hermes-3",)),
    _Rule("llama3", architectures=("llama",), words=("hermes-4",)),
    _Rule("chatml", words=("hermes-2", "openhermes", "neuralhermes", "internlm", "lfm2")),
    _Rule("zephyr", words=("zephyr", "tinyllama")),
    _Rule("openchat", words=("openchat", "starling")),
    _Rule("neural_chat", words=("neural-chat",)),
    _Rule("solar_instruct", words=("solar-10-7b",)),
    _Rule("orca_mini_v2", words=("orca-mini-v2", "orca-mini-3b", "orca-mini-7b", "orca-mini-13b")),
    _Rule("orca_mini", words=("orca-mini",)),
    _Rule("orca2", words=("orca-2",)),
    _Rule("guanaco", words=("guanaco",)),
    _Rule("vicuna_lmsys", words=("vicuna",)),
    _Rule("synthia", words=("synthia",)),
    _Rule("tess", words=("tess-",)),
    _Rule("airoboros", words=("airoboros",)),
    _Rule("mythomax", words=("mythomax",)),
    _Rule("alpaca", words=("alpaca",)),
    _Rule("mistral_tekken", words=("mistral-nemo", "pixtral-12b")),
    _Rule("mistral_v7", words=("mistral-large-instruct-2411", "mistral-large-2411")),
    _Rule(
        "mistral_v3", words=("instruct-v0-3", "mixtral-8x22b", "mistral-large", "codestral", "ministral-8b")
    ),
    _Rule("mistral_v7_tekken", architectures=("mistral3",)),
    _Rule("mistral_v7_tekken", words=("mistral-small", "devstral", "magistral", "ministral-3")),
    _Rule("mistral_instruct", words=("mistral", "mixtral")),
    _Rule("llama3", words=("llama-3", "llama3")),
    _Rule("llama2chat", words=("llama-2", "llama2", "codellama")),
    _Rule("qwen_think", words=("qwq", "thinking-2507")),
    _Rule("qwen2_5", words=("qwen2-5", "qwen-2-5")),
    _Rule("qwen2", architectures=("qwen", "qwen2", "qwen2moe")),
    _Rule("qwen", architectures=("qwen3", "qwen3moe", "qwen3next")),
    _Rule("yi", words=("yi-6b", "yi-9b", "yi-34b", "yi-1-5")),
    _Rule("chatml", architectures=("internlm2", "lfm2", "lfm2moe")),
)


def recognise(architecture: str, name: str) -> str:
    """Return the name of the built-in format of a model, or "" where none is known.

    Args:
        architecture: `general.architecture` of its GGUF file.
        name: its name, in lower case with "-" between letters and digits.
    """
    for rule in _RULES:
        fits_architecture = not rule.architectures or architecture in rule.architectures
        fits_name = not rule.words or any(f"-{word}" in f"-{name}" for word in rule.words)
        if fits_architecture and fits_name:
            return rule.format
    return ""
