package io.github.ddpm4j.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The library's messages name methods, since it is called by programs. Here they name the options
 * that do the same.
 */
final class Advice {

  private static final Map<Pattern, String> WORDS = words();

  private Advice() {}

  private static Map<Pattern, String> words() {
    Map<String, String> words = new LinkedHashMap<>();
    words.put(
        "call options\\(\\)\\.image\\(channels, height, width\\)",
        "give --image, such as 3x32x32,");
    words.put("(--image, such as 3x32x32),$", "$1");
    words.put(
        "call options\\(\\)\\.heads\\(count\\) or options\\(\\)\\.headChannels\\(channels\\)",
        "give --heads or --head-channels");
    words.put("call options\\(\\)\\.raw\\(false\\)", "leave out --raw");
    words.put("call options\\(\\)\\.prefix\\(name\\) with one of", "give --prefix with one of");
    words.put("options\\(\\)\\.image\\(\\.\\.\\.\\)", "--image");
    words.put("call TextToImage\\.options\\(\\)\\.tokenizer\\(folder\\) with", "give --tokenizer,");
    words.put("configuration\\(folder\\) was not called", "there is no --configuration");
    words.put("write another type, such as FLOAT32", "give another --type, such as bfloat16");
    words.put("call options\\(\\)\\.configuration\\(folder\\)", "give --configuration");
    words.put(
        "leave out tokenizer\\(\\.\\.\\.\\) and configuration\\(\\.\\.\\.\\)",
        "leave out --tokenizer and --configuration");
    words.put(
        "a network alone is loaded by Pretrained\\.load\\(file\\), and a folder of diffusers by"
            + " TextToImage\\.load\\(folder\\)",
        "a network alone is for other commands than text, and without --tokenizer and"
            + " --configuration");
    words.put("call options\\(\\)\\.schedule\\(.*", "give --schedule, such as linear:1000");
    words.put("call options\\(\\)\\.prediction\\(.*", "give --prediction");
    words.put(
        "call options\\(\\)\\.rescaledTimesteps\\(value\\)",
        "give --rescaled-timesteps true or false");
    words.put(
        ": get it by TextToImage\\.download\\(\"(.*?)\", \"(.*?)\"\\)$",
        "; get it by TextToImage.download(\"$1\", \"$2\")");
    words.put(
        "get it by (?:Pretrained|TextToImage)\\.download\\(\"(.*?)\", \"main\"\\)(?:, or by: .*)?",
        "get it by: ddpm download $1");
    words.put(
        "get it by (?:Pretrained|TextToImage)\\.download\\(\"(.*?)\", \"(.*?)\"\\)(?:, or by: .*)?",
        "get it by: ddpm download $1 --revision $2");
    words.put(
        "train with conditionDropout\\(0\\.1\\), use classifierFree\\(1\\), or call evenUnlearned.*",
        "use --guidance 1, or a model that was trained with and without conditions");
    words.put(
        "use the same Features for both", "give the same --size, --features and --features-side");
    words.put(
        "FeatureStatistics\\.save writes such files", "ddpm evaluate --save writes such files");
    words.put(", or leave out failOnBroken\\(\\) to train on the others$", "");
    words.put("; there is no other to train on$", "; there is no other");
    words.put(
        "; set (the run|it) as it was, or .*resume\\(.*\\)$",
        "; give the options of that run, or choose another folder");
    words.put("by lambdaMin\\(-5\\.1\\)", "by ', lambdaMin=-5.1'");
    words.put("use dpmSolverPlusPlus", "use dpm++2m");
    words.put("^dpmSolver (needs|divides)", "dpm $1");
    words.put("use TimestepSpacing\\.TRAILING", "add ', trailing' to the sampler");
    words.put(
        "^height and width must be positive (.*), but were (-?\\d+) and (-?\\d+)$",
        "--size must be of positive $1, but was $2x$3");
    words.put("leave out mapped\\(\\)( or choose Device\\.cpu\\(\\))?", "leave out --mapped");
    words.put("use Device\\.cpu\\(\\)", "use --device cpu");
    words.put(
        "^(.*): no model of diffusers: it has neither config\\.json nor unet/config\\.json; .*",
        "$1 is no model: it has neither ddpm.json, as models of this program have, nor config.json"
            + " or unet/config.json, as those of diffusers; name such a folder, or a file of weights");
    words.put("^learningRate must be", "--rate must be");
    words.put("^EMA decay must", "--ema must");
    words.put(
        "use fewer steps or TimestepSpacing\\.TRAILING",
        "use fewer steps, or add ', trailing' to the sampler");
    words.put("build it with classes\\(n\\), or leave them out", "leave out --class");
    words.put("give it a label between", "give --class, a number between");
    words.put("^(.*: it holds .*, which is no part of a pipeline)$", "$1; choose another folder");
    Map<Pattern, String> patterns = new LinkedHashMap<>();
    words.forEach((java, option) -> patterns.put(Pattern.compile(java), option));
    return patterns;
  }

  /** A message as this program says it. */
  static @Nullable String of(@Nullable String message) {
    if (message == null) {
      return null;
    }
    String text = message;
    for (Map.Entry<Pattern, String> word : WORDS.entrySet()) {
      text = word.getKey().matcher(text).replaceAll(word.getValue());
    }
    return text;
  }
}
