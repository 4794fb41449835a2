package io.github.ddpm4j.internal.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Models by name, as Hugging Face's tools leave them: links to blobs, and names of commits. */
class HubCacheTest {

  private static final String COMMIT = "267b167dc01f0e4e61923ea244e8b988f84deb80";
  private static final String ID = "google/ddpm-tiny";

  @TempDir private Path folder;

  private Path model() {
    return folder.resolve("hub").resolve("models--google--ddpm-tiny");
  }

  private HubCache cache() {
    return HubCache.of(Map.of("HF_HOME", folder.toString())::get, Path.of("nowhere"));
  }

  /** The files are blobs, and the snapshot has links to them. */
  private Path write() throws IOException {
    Path snapshot = Files.createDirectories(model().resolve("snapshots").resolve(COMMIT));
    Path blobs = Files.createDirectories(model().resolve("blobs"));
    Path blob = Files.writeString(blobs.resolve("blob"), "{}");
    Files.createSymbolicLink(snapshot.resolve("config.json"), snapshot.relativize(blob));
    Path refs = Files.createDirectories(model().resolve("refs"));
    Files.writeString(refs.resolve("main"), COMMIT);
    Files.createDirectories(refs.resolve("refs").resolve("pr"));
    Files.writeString(refs.resolve("refs").resolve("pr").resolve("5"), COMMIT + "\n");
    return snapshot;
  }

  @Test
  void snapshot_ofAModel_found() throws IOException {
    Path snapshot = write();
    for (String revision : new String[] {"main", "refs/pr/5", COMMIT}) {
      assertThat(cache().snapshot(ID, revision, "Pretrained.download")).isEqualTo(snapshot);
    }
    assertThat(snapshot.resolve("config.json")).hasContent("{}");
  }

  @Test
  void of_environment_asHuggingFaceHasIt() {
    Map<String, String> all = Map.of("HF_HUB_CACHE", "/a", "HF_HOME", "/b", "XDG_CACHE_HOME", "/c");
    missing(Map.of("HF_HUB_CACHE", "/a", "HF_HOME", "/b"), "/a");
    missing(all, "/a");
    missing(Map.of("HF_HUB_CACHE", "", "HF_HOME", "/b", "XDG_CACHE_HOME", "/c"), "/b/hub");
    missing(Map.of("XDG_CACHE_HOME", "/c"), "/c/huggingface/hub");
    missing(Map.of(), "/home/me/.cache/huggingface/hub");
  }

  private static void missing(Map<String, String> environment, String where) {
    HubCache cache = HubCache.of(environment::get, Path.of("/home/me"));
    assertThatThrownBy(() -> cache.snapshot(ID, "main", "Pretrained.download"))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            Path.of(where, "models--google--ddpm-tiny")
                + ": the model is not in the cache of Hugging Face; get it by"
                + " Pretrained.download(\"google/ddpm-tiny\", \"main\"), or by: huggingface-cli"
                + " download google/ddpm-tiny --revision main");
  }

  @Test
  void snapshot_otherRevision_saysHowToGetIt() throws IOException {
    write();
    assertThatThrownBy(() -> cache().snapshot(ID, "v2", "Pretrained.download"))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            model().resolve("snapshots").resolve("v2")
                + ": the model is not in the cache of Hugging Face; get it by"
                + " Pretrained.download(\"google/ddpm-tiny\", \"v2\"), or by: huggingface-cli"
                + " download google/ddpm-tiny --revision v2");
  }

  /** A file of the cache may say anything: it leads nowhere else. */
  @Test
  void snapshot_refToElsewhere_notFollowed() throws IOException {
    write();
    Files.writeString(model().resolve("refs").resolve("main"), "../../../unet2d_ldm");
    assertThatThrownBy(() -> cache().snapshot(ID, "main", "Pretrained.download"))
        .isInstanceOf(NoSuchFileException.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "cifar10", "a/b/c", "../b", "a/..", "a--b/c", "/a/b", "a\\b/c"})
  void snapshot_noName_refused(String id) {
    assertThatThrownBy(() -> cache().snapshot(id, "main", "Pretrained.download"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the name of a model must be like google/ddpm-cifar10-32, but was \""
                + id
                + "\"; for a folder or file call load(Path.of(...))");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "../main", "/main", "a..b"})
  void snapshot_noRevision_refused(String revision) {
    assertThatThrownBy(() -> cache().snapshot(ID, revision, "Pretrained.download"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a revision must be a branch, a tag or a commit, but was \"" + revision + "\"");
  }
}
