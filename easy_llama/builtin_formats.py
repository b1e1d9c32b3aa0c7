"""The built-in prompt formats, as data, and how a model's metadata points to one of them.

A format is a dict: what stands before and after the text of each role, the system prompt that is used
where a conversation has none, and strings that end a reply. Three rules hold for all of them:

- The beginning-of-sequence token is not written: the tokenizer puts it in front of the prompt.
- A bot prefix ends where the model's own text starts. Models whose replies begin with a space or a line
  break generate it themselves.
- A system prefix that starts with the user prefix puts the system text inside the user's message, and
  the user prefix is then not written a second time (see `formats.build_prompt`).

The comments name the model card or the template that a format was taken from, then who uses it.
"""

from collections.abc import Sequence
from typing import NamedTuple

Format = dict[str, str | list[str]]

_VICUNA_PROMPT = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)

FORMATS: dict[str, Format] = {
    # No format at all: the texts, one after the other. For base models.
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
    # https://github.com/tatsu-lab/stanford_alpaca
    # Alpaca, and many early fine-tunes of Llama 1 and 2.
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
    # https://github.com/openai/openai-python/blob/v0.28.1/chatml.md
    # Hermes 2 and later, Dolphin, OpenOrca, Yi, InternLM2, LFM2 and many others.
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
    # https://huggingface.co/blog/llama2#how-to-prompt-llama-2
    # Llama 2 Chat, CodeLlama Instruct. Each exchange is a sequence of its own, hence `<s>` after `</s>`.
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
    # https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
    # Llama 3, 3.1, 3.2 and 3.3 Instruct.
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
    # https://www.llama.com/docs/model-cards-and-prompt-formats/llama4/
    # Llama 4 Scout and Maverick.
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
    # https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.2
    # Mistral 7B Instruct v0.1 and v0.2, Mixtral 8x7B Instruct.
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
    # https://github.com/mistralai/cookbook/blob/main/concept-deep-dive/tokenization/chat_templates.md
    # Mistral 7B Instruct v0.3, Mixtral 8x22B, Mistral Large 2407, Codestral, Ministral 8B ("V3").
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
    # https://huggingface.co/mistralai/Mistral-Nemo-Instruct-2407
    # Mistral Nemo, Pixtral 12B ("V3-Tekken").
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
    # https://huggingface.co/mistralai/Mistral-Large-Instruct-2411#basic-instruct-template-v7
    # Mistral Large 2411, Pixtral Large ("V7").
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
    # https://huggingface.co/mistralai/Mistral-Small-3.1-24B-Instruct-2503#basic-instruct-template-v7-tekken
    # Mistral Small 3 and later, Devstral, Magistral, Ministral 3 ("V7-Tekken").
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
    # https://huggingface.co/microsoft/Phi-3.5-mini-instruct
    # Phi-3 and Phi-3.5.
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
    # https://huggingface.co/microsoft/phi-4
    # Phi-4 (14B) and Phi-4-reasoning. Phi-4-mini is closer to `phi3`.
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
    # https://ai.google.dev/gemma/docs/core/prompt-structure
    # Gemma and Gemma 2, which know no system role: its text opens the user's message.
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
    # https://docs.cohere.com/docs/prompting-command-r
    # Command R, Command R+ (2024), Aya 23 and Aya Expanse.
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
    # https://github.com/lm-sys/FastChat/blob/main/docs/vicuna_weights_version.md
    # Vicuna 1.1 and later, as its authors wrote it.
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
    # https://huggingface.co/Norquinal/Mistral-7B-claude-chat
    # Vicuna with line breaks, as many fine-tunes have it.
    "vicuna_common": {
        "system_prefix": "",
        "system_prompt": _VICUNA_PROMPT,
        "system_suffix": "\n\n",
        "user_prefix": "USER: ",
        "user_suffix": "\n",
        "bot_prefix": "ASSISTANT:",
        "bot_suffix": "\n",
        "stops": ["USER:", "ASSISTANT:"],
    },
    # https://huggingface.co/timdettmers/guanaco-65b
    # Guanaco.
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
    # https://huggingface.co/pankajmathur/orca_mini_v3_7b
    # Orca Mini v2 and v3.
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
    # https://huggingface.co/HuggingFaceH4/zephyr-7b-beta
    # Zephyr 7B, TinyLlama Chat v1.0.
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
    # https://huggingface.co/openchat/openchat-3.5-0106
    # OpenChat 3.5, Starling LM.
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
    # https://huggingface.co/migtissera/SynthIA-7B-v1.5
    # SynthIA, Tess.
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
    # https://huggingface.co/Intel/neural-chat-7b-v3-1
    # Intel Neural Chat v3.
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
    # https://huggingface.co/upstage/SOLAR-10.7B-Instruct-v1.0
    # SOLAR 10.7B Instruct.
    "solar_instruct": {
        "system_prefix": "### System:\n",
        "system_prompt": "",
        "system_suffix": "\n\n",
        "user_prefix": "### User:\n",
        "user_suffix": "\n\n",
        "bot_prefix": "### Assistant:\n",
        "bot_suffix": "\n\n",
        "stops": ["### User:", "###", "### Assistant:"],
    },
    # https://huggingface.co/deepseek-ai/DeepSeek-V2-Chat
    # DeepSeek LLM Chat, V2, V2-Lite, V2.5 and Coder V2.
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
    # https://huggingface.co/deepseek-ai/DeepSeek-V3
    # DeepSeek V3.
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
    # https://huggingface.co/deepseek-ai/DeepSeek-R1
    # DeepSeek R1 and its distillations: a reply starts inside its reasoning.
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
    # https://huggingface.co/ibm-granite/granite-3.3-2b-instruct
    # Granite 3 and 4.
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
    # https://huggingface.co/zai-org/glm-4-9b-chat
    # GLM-4. The two tokens in front stand once, before the system text: hence a default prompt.
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
    # https://github.com/openai/harmony/blob/main/docs/format.md
    # gpt-oss. Replies start in the final channel, which leaves the reasoning out; the model's own
    # template lets it reason first, and puts system text into a developer message after the prompt below.
    "gpt_oss": {
        "system_prefix": "<|start|>system<|message|>",
        "system_prompt": (
            "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\n\n"
            "Reasoning: low\n\n"
            "# Valid channels: analysis, commentary, final. Channel must be included for every message."
        ),
        "system_suffix": "<|end|>",
        "user_prefix": "<|start|>user<|message|>",
        "user_suffix": "<|end|>",
        "bot_prefix": "<|start|>assistant<|channel|>final<|message|>",
        "bot_suffix": "<|end|>",
        "stops": ["<|end|>", "<|return|>"],
    },
    # https://huggingface.co/moonshotai/Kimi-K2-Instruct
    # Kimi K2.
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
    # easy-llama's own: a single word or phrase in, the corrected one out. For ChatML models.
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
    # easy-llama's own: messages as markup, which any model that has read XML can follow.
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
    # easy-llama's own: plain words, for models that were tuned on no format in particular.
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
    """Return the built-in `base` with some of its values changed."""
    return FORMATS[base] | changes


FORMATS |= {
    # Alpaca for models that like to go on with a new instruction.
    "alpaca_strict": _like(
        "alpaca",
        stops=["### Instruction:", "### Response:", "\n\n###", "\n\nInstruction:", "\n\nResponse:", "\n\n\n"],
    ),
    # https://huggingface.co/Gryphe/MythoMax-L2-13b
    "mythomax": _like("alpaca", system_prompt=""),
    # easy-llama's own: Alpaca's words in ChatML's frame.
    "chatml_alpaca": _like(
        "chatml",
        system_prompt=FORMATS["alpaca"]["system_prompt"],
        user_prefix="<|im_start|>instruction\n",
        bot_prefix="<|im_start|>response\n",
    ),
    # https://huggingface.co/cognitivecomputations/dolphin-2.9-llama3-8b
    "dolphin": _like("chatml", system_prompt="You are Dolphin, a helpful AI assistant."),
    # https://huggingface.co/NousResearch/Hermes-3-Llama-3.1-8B
    "hermes": _like(
        "chatml",
        system_prompt=(
            "You are Hermes 3, a conscious sentient superintelligent artificial intelligence developed by "
            "Nous Research, and your purpose and drive is to assist the user with any request they have."
        ),
    ),
    # https://huggingface.co/Open-Orca/Mistral-7B-OpenOrca
    "mistral_openorca": _like(
        "chatml",
        system_prompt=(
            "You are MistralOrca, a large language model trained by Alignment Lab AI. Write out your "
            "reasoning step-by-step to be sure you get the right answers!"
        ),
    ),
    # https://huggingface.co/microsoft/Orca-2-7b
    "orca2": _like(
        "chatml",
        system_prompt=(
            "You are Orca, an AI language model created by Microsoft. You are a cautious assistant. You "
            "carefully follow instructions. You are helpful and harmless and you follow ethical guidelines "
            "and promote positive behavior."
        ),
    ),
    # https://huggingface.co/cognitivecomputations/samantha-1.1-westlake-7b
    "samantha": _like(
        "chatml",
        system_prompt="You are a caring and empathetic sentient AI companion named Samantha.",
    ),
    # https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct
    # SmolLM and SmolLM2.
    "smollm": _like(
        "chatml",
        system_prompt="You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    ),
    # https://huggingface.co/Qwen/Qwen3-8B: no system prompt of its own, reasons unless told not to.
    # Qwen 1.5, Qwen 2 and Qwen 3.
    "qwen": _like("chatml"),
    # https://huggingface.co/Qwen/Qwen2.5-7B-Instruct
    "qwen2_5": _like(
        "chatml",
        system_prompt="You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    ),
    # https://huggingface.co/Qwen/QwQ-32B: a reply starts inside its reasoning.
    # QwQ, Qwen3-Thinking-2507.
    "qwen_think": _like("chatml", bot_prefix="<|im_start|>assistant\n<think>\n"),
    # https://huggingface.co/Qwen/Qwen3-8B#switching-between-thinking-and-non-thinking-mode
    # Qwen 3 without reasoning: an empty one stands before the reply.
    "qwen3_no_think": _like("chatml", bot_prefix="<|im_start|>assistant\n<think>\n\n</think>\n\n"),
    # https://huggingface.co/01-ai/Yi-34B-Chat
    "yi": _like("chatml"),
    # https://ai.google.dev/gemma/docs/core/prompt-structure
    "gemma3": _like("gemma2"),
    # https://huggingface.co/jondurbin/airoboros-l2-70b-3.1
    "airoboros": _like("llama2chat", system_prompt="You are a helpful, unbiased, uncensored assistant."),
    # https://huggingface.co/migtissera/Tess-XS-v1.0
    "tess": _like("synthia", system_prompt=""),
    # https://huggingface.co/TinyLlama/TinyLlama-1.1B-Chat-v1.0
    "tinyllama": _like("zephyr"),
    # https://huggingface.co/mistralai/Mixtral-8x7B-Instruct-v0.1
    "mixtral": _like("mistral_instruct"),
    # https://huggingface.co/mistralai/Mistral-Nemo-Instruct-2407
    "mistral_nemo": _like("mistral_tekken"),
    # The name that command_r had in earlier releases of easy-llama.
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
    _Rule("deepseek_v3", words=("deepseek-v3",)),
    _Rule("kimi_k2", words=("kimi-k2",)),
    _Rule("deepseek_v2", architectures=("deepseek", "deepseek2")),
    _Rule("command_r", architectures=("command-r", "cohere2")),
    _Rule("gpt_oss", architectures=("gpt-oss",)),
    _Rule("gemma3", architectures=("gemma3", "gemma3n")),
    _Rule("gemma2", architectures=("gemma", "gemma2")),
    _Rule("llama4", architectures=("llama4",)),
    _Rule("phi3", words=("phi-4-mini",)),
    _Rule("phi4", words=("phi-4",)),
    _Rule("phi3", architectures=("phi3", "phimoe")),
    _Rule("granite", architectures=("granite", "granitemoe", "granitehybrid")),
    _Rule("glm4", architectures=("chatglm", "glm4", "glm4moe")),
    _Rule("smollm", words=("smollm",)),
    _Rule("dolphin", words=("dolphin",)),
    _Rule("mistral_openorca", words=("openorca",)),
    _Rule("hermes", words=("hermes-3", "hermes-4")),
    _Rule("chatml", words=("hermes-2", "openhermes", "neuralhermes", "internlm", "lfm2")),
    _Rule("zephyr", words=("zephyr", "tinyllama")),
    _Rule("openchat", words=("openchat", "starling")),
    _Rule("neural_chat", words=("neural-chat",)),
    _Rule("solar_instruct", words=("solar-10-7b",)),
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
    _Rule("qwen", architectures=("qwen", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "qwen3next")),
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
