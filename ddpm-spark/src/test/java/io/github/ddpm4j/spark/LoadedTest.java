package io.github.ddpm4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.spark.Loaded.Lease;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class LoadedTest {

  private final List<String> events = new ArrayList<>();
  private final Loaded<AutoCloseable> loaded = new Loaded<>();

  private Lease<AutoCloseable> use(String key) throws Exception {
    return loaded.use(
        key,
        () -> {
          events.add("load " + key);
          return () -> events.add("close " + key);
        });
  }

  @Test
  void use_loadsOnce_andFreesWhatNobodyUsesForAnother() throws Exception {
    try (Lease<AutoCloseable> one = use("a");
        Lease<AutoCloseable> two = use("a")) {
      assertThat(one.get()).isSameAs(two.get());
      two.close();
      two.close(); // counts once
      use("b").close();
      assertThat(events).containsExactly("load a", "load b");
    }
    use("a").close();
    assertThat(events).containsExactly("load a", "load b");
    use("c").close();
    assertThat(events).containsExactly("load a", "load b", "close a", "close b", "load c");
  }

  @Test
  void use_afterAFailure_triesAgain() throws Exception {
    assertThatThrownBy(
            () ->
                loaded.use(
                    "a",
                    () -> {
                      throw new IOException("not there");
                    }))
        .hasMessage("not there");
    use("a").close();
    assertThat(events).containsExactly("load a");
  }
}
