package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The library's messages in the words of the program. */
class AdviceTest {

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      delimiter = '|',
      value = {
        "x: call options().image(channels, height, width) | x: give --image, such as 3x32x32",
        "x; call options().image(channels, height, width) with others"
            + " | x; give --image, such as 3x32x32, with others",
        "x: call options().heads(count) or options().headChannels(channels), as num_heads said"
            + " | x: give --heads or --head-channels, as num_heads said",
        "x: call options().raw(false) | x: leave out --raw",
        "x: call options().prefix(name) with one of a, b | x: give --prefix with one of a, b",
        "x, but options().image(...) was y | x, but --image was y",
        "x: call options().schedule(...), such as y | x: give --schedule, such as linear:1000",
        "x: call options().prediction(...), such as y | x: give --prediction",
        "x: call options().rescaledTimesteps(value), as y"
            + " | x: give --rescaled-timesteps true or false, as y",
        "get it by Pretrained.download(\"a/b\", \"main\"), or by: huggingface-cli download a/b"
            + " | get it by: ddpm download a/b",
        "get it by Pretrained.download(\"a/b\", \"v1\"), or by: huggingface-cli download a/b"
            + " | get it by: ddpm download a/b --revision v1",
        "get it by TextToImage.download(\"a/b\", \"main\"), or by: huggingface-cli download a/b"
            + " | get it by: ddpm download a/b",
        "a part is missing; the cache of Hugging Face has not all of the model: get it by"
            + " TextToImage.download(\"a/b\", \"main\")"
            + " | a part is missing; the cache of Hugging Face has not all of the model; get it by:"
            + " ddpm download a/b",
        "a part is missing; the cache of Hugging Face has not all of the model: get it by"
            + " TextToImage.download(\"a/b\", \"v1\")"
            + " | a part is missing; the cache of Hugging Face has not all of the model; get it by:"
            + " ddpm download a/b --revision v1",
        "x: call TextToImage.options().tokenizer(folder) with a folder | x: give --tokenizer, a folder",
        "x, since configuration(folder) was not called, y | x, since there is no --configuration, y",
        "x: leave out tokenizer(...) and configuration(...)"
            + " | x: leave out --tokenizer and --configuration",
        "x; use dpmSolverPlusPlus, or leave out levels by lambdaMin(-5.1); y"
            + " | x; use dpm++2m, or leave out levels by ', lambdaMin=-5.1'; y",
        "x; use fewer steps or TimestepSpacing.TRAILING"
            + " | x; use fewer steps, or add ', trailing' to the sampler",
        "x alone; use TimestepSpacing.TRAILING, or a list that begins there"
            + " | x alone; add ', trailing' to the sampler, or a list that begins there",
        "weights are mapped on the CPU alone, but the device is gpu(0): leave out mapped() or choose"
            + " Device.cpu()"
            + " | weights are mapped on the CPU alone, but the device is gpu(0): leave out --mapped",
        "a file that says /call.options()/ | a file that says /call.options()/",
      })
  void methods_areNamedAsOptions(String message, String expected) {
    assertThat(Advice.of(message)).isEqualTo(expected);
  }
}
