package io.github.ddpm4j.latent;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.GeneralCodingRules;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What the module shows, and what it knows of the others. */
class ArchitectureTest {

  private static final String ROOT = "io.github.ddpm4j";

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages(ROOT + ".latent");

  @Test
  void exportedTypes_areThese() throws IOException, URISyntaxException {
    assertThat(
            CLASSES.stream()
                .filter(type -> type.getModifiers().contains(JavaModifier.PUBLIC))
                .map(type -> type.getName().substring(type.getPackageName().length() + 1)))
        .containsExactlyInAnyOrder(
            "Autoencoder",
            "Autoencoder$Latents",
            "AutoencoderBuilder",
            "AutoencoderTraining",
            "AutoencoderTraining$Step",
            "Drawing",
            "LatentDataset",
            "LatentDataset$Builder",
            "LatentDiffusion",
            "TextEncoder",
            "TextToImage",
            "TextToImage$Options",
            "Tokenizer");
    Path classes =
        Path.of(Tokenizer.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    try (InputStream in = Files.newInputStream(classes.resolve("module-info.class"))) {
      assertThat(ModuleDescriptor.read(in).exports())
          .extracting(ModuleDescriptor.Exports::source)
          .containsExactly(ROOT + ".latent");
    }
  }

  @Test
  void parts_knowNoEngineTrainingAndSampling() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("ai.djl.pytorch..", ROOT + ".training")
        .check(CLASSES);
    noClasses()
        .that()
        .haveNameNotMatching(
            ".*\\.(DecodedRun|Drawing|DrawingStarts|LatentDiffusion|LatentFolder|TextToImage)(\\$.*)?")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(ROOT, ROOT + ".sampling", ROOT + ".pretrained")
        .check(CLASSES);
    noClasses().should().callMethod(Engine.class, "setRandomSeed", int.class).check(CLASSES);
  }

  @Test
  void output_goesNowhere() {
    GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
    GeneralCodingRules.NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING.check(CLASSES);
  }
}
