package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The network of a model folder as what it is. */
class UNetLoadTest {

  @TempDir private Path folder;

  @Test
  void load_folderOfAUNet_itsNetwork() throws IOException {
    try (UNet saved = UNet.builder().image(1, 4, 4).levelChannels(4).groups(2).seed(1).build()) {
      DDPM.builder().denoiser(saved).build().save(folder);
      try (UNet loaded = UNet.load(folder);
          UNet there = UNet.load(folder, Device.cpu())) {
        assertThat(loaded.config()).isEqualTo(saved.config());
        assertThat(there.device()).contains(Device.cpu());
        assertThat(loaded.seed()).as("unknown, since weights are read").isEmpty();
        saved
            .weights()
            .forEach(
                (name, weight) -> {
                  assertThat(loaded.weights().get(name)).as(name).isEqualTo(weight);
                  assertThat(there.weights().get(name)).as(name).isEqualTo(weight);
                });
      }
    }
  }

  @Test
  void load_rangePerChannel_samplesTheSame() throws IOException {
    DataRange range = new DataRange(List.of(-2.1, -2.0), List.of(2.2, 2.6));
    try (UNet saved = UNet.builder().image(2, 4, 4).levelChannels(4).groups(2).seed(1).build()) {
      DDPM ddpm = DDPM.builder().timesteps(3).dataRange(range).denoiser(saved).build();
      ddpm.save(folder);
      assertThat(Files.readString(folder.resolve("ddpm.json")))
          .contains("\n  \"dataRange\": [\n    [-2.1, 2.2],\n    [-2.0, 2.6]\n  ],\n");
      try (DDPM loaded = DDPM.load(folder);
          Samples expected = ddpm.sampling().seed(1).generate(2);
          Samples samples = loaded.sampling().seed(1).generate(2);
          NDManager manager = NDManager.newBaseManager()) {
        assertThat(loaded.dataRange()).isEqualTo(range);
        assertThat(samples.toNDArray(manager).toFloatArray())
            .containsExactly(expected.toNDArray(manager).toFloatArray());
      }
    }
  }

  /** In a pool of an application server the thread's class loader may know no network. */
  @Test
  void load_threadOfAnotherClassLoader_itsNetwork() throws IOException {
    try (UNet saved = UNet.builder().image(1, 4, 4).levelChannels(4).groups(2).seed(1).build()) {
      DDPM.builder().denoiser(saved).build().save(folder);
    }
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    for (ClassLoader other : new ClassLoader[] {null, ClassLoader.getPlatformClassLoader()}) {
      thread.setContextClassLoader(other);
      try (DDPM ddpm = DDPM.load(folder)) {
        assertThat(ddpm.denoiser(UNet.class).config().imageShape()).isEqualTo(new Shape(1, 4, 4));
        assertThat(thread.getContextClassLoader()).isSameAs(other);
      } finally {
        thread.setContextClassLoader(before);
      }
    }
  }

  @Test
  void load_noFolder_refused() {
    Path missing = folder.resolve("missing");
    assertThatThrownBy(() -> UNet.load(missing))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessageStartingWith(missing.toString());
  }

  @Test
  void load_anotherKindOfNetwork_refusedByNameAndFreed() throws IOException {
    try (OtherProvider.Other other = new OtherProvider.Other()) {
      DDPM.builder().denoiser(other).build().save(folder);
    }
    int resources = NativeMemory.resources();
    assertThatThrownBy(() -> UNet.load(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(
            folder
                + " must hold a network of type unet, but its type is other; load it with"
                + " DDPM.load");
    assertThat(NativeMemory.resources()).isEqualTo(resources);
  }
}
